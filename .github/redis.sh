#!/usr/bin/env bash
# redis.sh IMAGE: puts an image's server where tests look for it, under the names that Redis gives it.
set -euo pipefail
image=$1
container=$(docker create "$image")
for name in redis-server valkey-server; do
  sudo docker cp --follow-link "$container:/usr/local/bin/$name" /usr/local/bin/redis-server 2>/dev/null && break
done
docker rm "$container" >/dev/null
sudo ln -sf redis-server /usr/local/bin/redis-sentinel
redis-server --version
