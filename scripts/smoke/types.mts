import * as ag from 'ampgrad';
import * as nn from 'ampgrad/nn';

const x: ag.Tensor = ag.matmul(ag.ones([2, 2]), ag.ones([2, 2]));
const y: ag.Tensor = new nn.Linear(2, 2).forward(x);
console.log(y.shape);
