/** The tasks of the study. */
import type { Task } from '../types';
import { autoencoder, mlp, resnet } from './digits';
import { bert } from './mails';
import { gpt2 } from './novel';

export const tasks: readonly Task[] = [mlp, resnet, bert, gpt2, autoencoder];
