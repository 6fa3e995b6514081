import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const backend = process.env["BACKEND"] ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react()],
  server: {
    proxy: {
      "/api": backend,
      "/socket.io": { target: backend, ws: true },
    },
  },
  build: { target: "es2022", chunkSizeWarningLimit: 800 },
});
