/** The default name of a request's scope: method and path, without the query, which may hold secrets. */
export function nameOfRequest(request: Request): string {
  try {
    const { method, url } = request;
    const start = url.indexOf("/", url.indexOf("://") + 3);
    if (start < 0) return `${method} /`;
    const query = url.indexOf("?", start);
    return `${method} ${query < 0 ? url.slice(start) : url.slice(start, query)}`;
  } catch {
    return "request"; // after its end, Deno's does not know its URL any more
  }
}
