/** Whether every repository can store the string: databases take no NUL, and a lone surrogate has no UTF-8 form. */
export function isStorableText(text: string): boolean {
  return !/\0|\p{Surrogate}/u.test(text);
}
