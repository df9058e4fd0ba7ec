import type { HttpAdapterHost } from "@nestjs/core";

/** An HTTP adapter of Nest. */
export type Adapter = HttpAdapterHost["httpAdapter"];
