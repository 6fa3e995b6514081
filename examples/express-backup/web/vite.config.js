import { defineConfig } from "vite";

// `npm run dev` beside a server on its port; the built page is served by nginx.
export default defineConfig({
  server: { proxy: { "/api": "http://127.0.0.1:8080" } },
  build: { target: "es2022" },
});
