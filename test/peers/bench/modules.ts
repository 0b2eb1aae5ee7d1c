/** What is loaded to use each peer. In here, because only from in here the peers' packages are found. */
export const modules = {
  openai: [import.meta.resolve('openai')],
  ai: [import.meta.resolve('ai'), import.meta.resolve('@ai-sdk/deepseek')],
}
