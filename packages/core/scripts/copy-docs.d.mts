export function copyDocs(root: string, target: string, repository: string | undefined): void;
export function repositoryOf(manifest: object): string | undefined;
