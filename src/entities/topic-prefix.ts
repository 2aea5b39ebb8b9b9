/** What stands before a device's id in the topic of its inbox. */
export const DEFAULT_TOPIC_PREFIX = '/mesh/';

/** Printable, ends with a slash, and is neither a filter nor among the broker's own topics. */
export function isTopicPrefix(text: string): boolean {
  return /^(?!\$)[!-~]{0,199}\/$/.test(text) && !/[+#]/.test(text);
}
