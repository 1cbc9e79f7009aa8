/** Whether every repository can hold it: databases take no NUL, and half of a surrogate pair is no text. */
export function isStorableText(text: string): boolean {
  return !/\0|\p{Surrogate}/u.test(text);
}
