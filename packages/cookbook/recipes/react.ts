import { createScope, type Scope } from "bough";
import { useEffect, type DependencyList } from "react";

/** An effect with a scope. The scope is cancelled when the component unmounts and before the effect runs again. */
export function useScope(
  effect: (scope: Scope) => void,
  dependencies: DependencyList,
  onError: (error: unknown) => void,
): void {
  useEffect(() => {
    const scope = createScope({ name: "effect", onError });
    effect(scope);
    return () => void scope.cancel("unmounted");
  }, dependencies);
}

// function User({ id }: { id: number }) {
//   const [user, setUser] = useState<string>();
//   const [error, setError] = useState<unknown>();
//   useScope((scope) => {
//     spawn(scope, async ({ signal }) => setUser(await loadUser(id, signal)));
//   }, [id], setError);
//   …
// }
