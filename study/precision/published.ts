/** Results of others, for comparison: quoted, not reproduced. */
export const published = `## Published results

Quoted, not reproduced here: full-size models on GPUs.

| Model, data | float32 or TF32 | AMP | Source |
| --- | --- | --- | --- |
| ResNet-50 v1.5, ImageNet, 90 epochs, 8 V100, top-1 | 77.01 ± 0.16 | 76.88 ± 0.16 | NVIDIA DeepLearningExamples, PyTorch/Classification/ConvNets |
| ResNet-50 v1.5, ImageNet, 250 epochs, 8 V100, top-1 | 78.30 ± 0.16 | 78.25 ± 0.12 | as above |
| ResNeXt101-32x4d, ImageNet, 90 epochs, 8 V100, top-1 | 79.40 ± 0.10 | 79.49 ± 0.05 | as above |
| BERT-base cased, SST-2, accuracy, one seed | 92.32 | 91.74 | Hugging Face transformers, examples/pytorch/text-classification |
| BERT-base cased, MNLI, accuracy m/mm, one seed | 83.91/84.10 | 84.04/84.06 | as above |
| BERT-base cased, QNLI, accuracy, one seed | 90.66 | 90.96 | as above |
| BERT-large, SQuAD, F1 | 90.93 (TF32) | 90.96 | NVIDIA DeepLearningExamples, PyTorch/LanguageModeling/BERT |
| Transformer-XL base, WikiText-103, perplexity, 8 V100 | 23.17 | 23.14 | NVIDIA DeepLearningExamples, PyTorch/LanguageModeling/Transformer-XL |

Noise of such results between seeds: 0.1 to 0.2 points on ImageNet, 0.1 to 0.3 F1 on SQuAD, up to 6 points
on MRPC. A single-seed gap of 0.3 points proves nothing.`;
