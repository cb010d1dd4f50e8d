import hooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist", "src/api/schema.gen.ts", "test-results", "shots"] },
  ...tseslint.configs.strict,
  hooks.configs.flat["recommended-latest"],
  {
    rules: {
      "no-restricted-syntax": [
        "error",
        { selector: "ExportDefaultDeclaration", message: "Export by name: a thing has one name everywhere." },
        { selector: "ExportAllDeclaration", message: "Import from the file that has it." },
        {
          selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']",
          message: "What models and people wrote is text, never markup.",
        },
      ],
      "react-hooks/incompatible-library": "off",
    },
  },
  { files: ["*.config.ts", "*.config.js"], rules: { "no-restricted-syntax": "off" } },
);
