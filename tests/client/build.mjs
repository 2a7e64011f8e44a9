// Builds the browser modules of progress_ws/client from the sources in its src/ folder:
//
//   node tests/client/build.mjs          writes what is committed and served
//   node tests/client/build.mjs FOLDER   writes to that folder instead, for comparing
//
// The same sources and tools give the same bytes. Each src/progress-*.js becomes one module that
// imports the other ones as its siblings; what two of them share has to have a name without a "_" in
// front. Debuggers find the sources by the first line: they are served and packed, too.

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { build, transform } from "esbuild";
import { minify } from "terser";

const HERE = dirname(fileURLToPath(import.meta.url));
const CLIENT = resolve(HERE, "../../progress_ws/client");
const ENTRIES = readdirSync(join(CLIENT, "src")).filter((name) => /^progress-.*\.js$/.test(name));

/** What is an entry of its own is imported, not bundled. */
const siblings = {
  name: "siblings",
  setup({ onResolve }) {
    onResolve({ filter: /\/progress-[a-z-]+\.js$/ }, ({ path, kind }) => {
      if (kind !== "entry-point") return { path: `./${basename(path)}`, external: true };
    });
  },
};

/** A style sheet is imported as its text. */
const styles = {
  name: "styles",
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(readFileSync(path, "utf8"), { loader: "css", minify: true });
      return { contents: code.trim(), loader: "text" };
    });
  },
};

async function buildOne(entry, version) {
  const bundled = await build({
    entryPoints: [join(CLIENT, "src", entry)],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    plugins: [siblings, styles],
    logLevel: "warning",
  });
  const { code } = await minify(bundled.outputFiles[0].text, {
    module: true,
    ecma: 2022,
    // Private by our convention, and so free to be short; strings stay what they are.
    mangle: { properties: { regex: /^_[a-z]/, keep_quoted: true } },
    compress: { passes: 3, unsafe_arrows: true, unsafe_methods: true },
    format: { comments: false },
  });
  const banner = `/*! progress-ws ${version} MIT src/${entry} */`;
  return `${banner}\n${code}\n`;
}

const folder = process.argv[2] ?? CLIENT;
mkdirSync(folder, { recursive: true });
const { version } = JSON.parse(readFileSync(join(CLIENT, "package.json"), "utf8"));
for (const entry of ENTRIES) writeFileSync(join(folder, entry), await buildOne(entry, version));
