import { retry, type Scope } from "bough";

class HttpError extends Error {
  readonly response: Response;

  constructor(response: Response) {
    super(`HTTP ${response.status}`);
    this.response = response;
  }
}

/** Fetches `url`. Retries if the server is busy or down, after the delay that the server asks for. */
export function fetchPatiently(scope: Scope, url: string): Promise<Response> {
  return retry(
    scope,
    async ({ signal }) => {
      const response = await fetch(url, { signal });
      if (response.ok) return response;
      await response.body?.cancel(); // frees the connection for the next attempt
      throw new HttpError(response);
    },
    {
      attempts: 5,
      timeout: 60_000, // for all attempts together
      retryIf: (error) =>
        !(error instanceof HttpError) || [429, 502, 503, 504].includes(error.response.status),
      delay: (error) => (error instanceof HttpError ? error.response.headers.get("retry-after") : undefined),
      onRetry: (error, attempt, delay) =>
        console.warn(`attempt ${attempt} of ${url}: ${String(error)}; retrying in ${delay} ms`),
    },
  );
}
