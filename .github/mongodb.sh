#!/usr/bin/env bash
# mongodb.sh VERSION standalone|replica-set|sharded: starts MongoDB in containers and prints its connection string.
set -euo pipefail
version=$1 topology=$2

server() { # NAME, then arguments of `docker run` before `--`, and of the server after it
  local name=$1 published=()
  shift
  while [ "$1" != -- ]; do published+=("$1"); shift; done
  shift
  docker run --detach --name "$name" --hostname "$name" --network mongodb "${published[@]}" "mongo:$version" \
    "$@" --bind_ip_all --port 27017 >&2
  until_true "$name" 'db.hello().ok'
}

until_true() { # NAME EXPRESSION
  for _ in $(seq 120); do
    if docker exec "$1" mongosh --quiet --eval "quit(($2) ? 0 : 1)" >/dev/null 2>&1; then return; fi
    sleep 1
  done
  docker logs "$1" >&2
  exit 1
}

replica_set() { # NAME HOST [MEMBER OF ITS CONFIGURATION]
  docker exec "$1" mongosh --quiet --eval \
    "rs.initiate({ _id: '$1', ${3:-} members: [{ _id: 0, host: '$2:27017' }] })" >&2
  until_true "$1" 'db.hello().isWritablePrimary'
}

docker network create mongodb >&2
public=(--publish 27017:27017)
case $topology in
standalone)
  server mongodb "${public[@]}" -- mongod
  echo 'mongodb://localhost:27017/'
  ;;
replica-set)
  server rs0 "${public[@]}" -- mongod --replSet rs0
  replica_set rs0 localhost
  echo 'mongodb://localhost:27017/?replicaSet=rs0'
  ;;
sharded)
  server config -- mongod --configsvr --replSet config
  replica_set config config 'configsvr: true,'
  for shard in shard1 shard2; do
    server "$shard" -- mongod --shardsvr --replSet "$shard"
    replica_set "$shard" "$shard"
  done
  server mongos "${public[@]}" -- mongos --configdb config/config:27017
  for shard in shard1 shard2; do
    docker exec mongos mongosh --quiet --eval "sh.addShard('$shard/$shard:27017')" >&2
  done
  echo 'mongodb://localhost:27017/'
  ;;
*)
  echo "No such topology: $topology" >&2
  exit 1
  ;;
esac
