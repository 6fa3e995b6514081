// The programs and the job of examples/express-backup/foster.toml. PM2 has no readiness, and starts the job at its own start as well.
const cwd = "/app/server";
module.exports = {
  apps: [
    { name: "api", script: "server.js", cwd, env: { NODE_ENV: "production" }, max_memory_restart: "300M", kill_timeout: 5000 },
    { name: "nginx", script: "nginx", interpreter: "none", args: ["-c", "/etc/pm2/nginx.conf", "-e", "/app/logs/error.log", "-g", "daemon off;"], kill_timeout: 3000 },
    { name: "backup", script: "backup.js", cwd, cron_restart: "0 */6 * * *", autorestart: false },
  ],
};
