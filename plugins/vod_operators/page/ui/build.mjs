// Builds src/ into ../static: videos.js, which Airflow's UI imports, and chunks that it loads when it needs them.
import { copyFile, rm } from "node:fs/promises";
import { build } from "esbuild";

// Airflow's UI has these as globals. A second React beside its own would break hooks, and a second Chakra its theme.
const GLOBALS = {
  react: "React",
  "react-dom": "ReactDOM",
  "react/jsx-runtime": "ReactJSXRuntime",
  "react-router-dom": "ReactRouterDOM",
  "@chakra-ui/react": "ChakraUI",
};

const airflowsOwn = {
  name: "airflows-own",
  setup(build) {
    build.onResolve({ filter: /^(react|react-dom|react\/.+|react-router-dom|@chakra-ui\/react)$/ }, ({ path }) => {
      if (!(path in GLOBALS)) return { errors: [{ text: `Airflow's UI offers no ${path}` }] };
      return { path, namespace: "airflow" };
    });
    build.onLoad({ filter: /.*/, namespace: "airflow" }, ({ path }) => ({
      contents: `module.exports = globalThis.${GLOBALS[path]};`,
    }));
  },
};

const options = {
  entryPoints: { videos: "src/main.tsx" },
  outdir: "../static",
  bundle: true,
  splitting: true,
  format: "esm",
  // What Airflow's own UI is built for.
  target: "es2022",
  jsx: "automatic",
  minify: true,
  sourcemap: false,
  legalComments: "linked",
  // The names of chunks change with their content, so browsers may keep them.
  chunkNames: "chunk-[hash]",
  plugins: [airflowsOwn],
  logLevel: "warning",
};

await rm(options.outdir, { recursive: true, force: true });
await build(options);
// hls.js goes into the wheel, and its licence with it.
await copyFile("node_modules/hls.js/LICENSE", `${options.outdir}/hls.js-LICENSE.txt`);
