// Gives the style sheet a name that changes with its content, so that browsers and nginx may keep it forever.
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const target = path.join(__dirname, "dist");
const text = fs.readFileSync(path.join(__dirname, "assets", "style.css"), "utf8");
const small = text.replace(/\/\*[^]*?\*\//g, "").replace(/\s+/g, " ").replace(/ ?([{}:;,]) ?/g, "$1").trim();
const style = `style.${createHash("sha256").update(small).digest("hex").slice(0, 12)}.css`;
fs.rmSync(target, { recursive: true, force: true });
fs.mkdirSync(target);
fs.writeFileSync(path.join(target, style), small);
fs.writeFileSync(path.join(target, "assets.json"), JSON.stringify({ style }));
