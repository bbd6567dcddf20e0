/**
 * Settings of glibc's malloc that keep freed memory in the process. Without them a peer that asks
 * malloc for every large result pays a page fault for every page of it.
 */
export const tunedMalloc: Readonly<Record<string, string>> = {
  MALLOC_MMAP_THRESHOLD_: '2000000000',
  MALLOC_TRIM_THRESHOLD_: '4000000000',
  MALLOC_TOP_PAD_: '500000000',
};
