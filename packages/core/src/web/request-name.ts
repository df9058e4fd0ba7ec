/** Method and path, without the query, which may hold secrets. */
export function defaultName({ method, url }: Request): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start < 0) return `${method} /`;
  const query = url.indexOf("?", start);
  return `${method} ${query < 0 ? url.slice(start) : url.slice(start, query)}`;
}
