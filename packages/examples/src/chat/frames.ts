/** Splits a stream of server-sent events into its events, each as text with the empty line that ends it. */
export async function* framesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    const frames = text.split(/(?<=\r?\n\r?\n)/);
    text = frames.pop() ?? "";
    if (/\r?\n\r?\n$/.test(text)) {
      frames.push(text);
      text = "";
    }
    yield* frames;
  }
  if (text !== "") yield text;
}

/** The token in an event of the API of OpenAI; `undefined` if it has none. */
export function tokenOf(frame: string): string | undefined {
  const data = /^data: (\{.*\})/m.exec(frame)?.[1];
  if (data === undefined) return undefined;
  const { choices } = JSON.parse(data) as { choices?: readonly { delta?: { content?: string } }[] };
  return choices?.[0]?.delta?.content;
}
