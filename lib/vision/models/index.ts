/** Networks for images, with torchvision's names of parameters. */
export * from './resnet';
export * from './simple';
export * from './vit';
