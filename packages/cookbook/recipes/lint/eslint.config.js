import bough from "bough/eslint";
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(
  tseslint.configs.recommendedTypeChecked,
  { languageOptions: { parserOptions: { projectService: true } } },
  bough.configs.recommended,
  bough.configs.typeChecked, // after typescript-eslint
);
