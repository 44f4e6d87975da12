# The recipes of Natter, the same at home and in CI. `./justw` runs them on any machine; a `just`
# of your own does as well.

set positional-arguments

target := env('CARGO_TARGET_DIR', justfile_directory() / 'target')
natter := target / 'debug' / 'natter'

# Lists the recipes.
@default:
    '{{ just_executable() }}' --justfile '{{ justfile() }}' --list --unsorted

# Builds and runs everything here: nats-server, all services, SQLite. Data stay in .natter/. Arguments go to `natter serve`.
up *ARGS: _build
    @exec '{{ natter }}' serve "$@"

# Chats as USER with PEER through the gateway of `up`, in this terminal.
chat USER PEER: _build
    @exec '{{ natter }}' chat --as "$1" --to "$2"

# Every test there is, on the real nats-server, SQLite and a throwaway PostgreSQL. Arguments replace `--workspace`.
test *ARGS: previous-nats _build-all
    #!/bin/sh
    set -eu
    NATTER_POSTGRES_BIN=$(tools/find-postgres)
    export NATTER_POSTGRES_BIN
    [ $# -gt 0 ] || set -- --workspace
    exec cargo test --no-fail-fast "$@"

# Format, clippy, documentation, dependencies, layers, sizes, documents, images, the Helm chart: all without warnings.
lint: _format _clippy _doc _deny _workflows _layers _sizes _documents images chart

# Dashboards, alerts and runbooks; every expression is asked of a live deployment. Needs Prometheus' programs.
monitoring: _build-all
    tools/check-monitoring '{{ natter }}' --live

# The Dockerfile, the compose files, and that both fit the code. Runs without Docker.
images: _build-all
    tools/check-images '{{ natter }}'

# Measures throughput, latency, drain and memory against the raw floor of NATS, in a release build.
bench *ARGS:
    cargo build --release -p natter -p natter-e2e
    @exec '{{ target }}/release/natter-bench' "$@"

# Checks the Helm chart with Helm 3 and 4, Kubernetes' schemas, policies, and against the binary. `--update` writes what is generated.
chart *ARGS: _build-all
    tools/check-chart '{{ natter }}' "$@"

# Breaks a whole deployment part by part while people talk, and checks that nothing is lost, doubled or out of order. `--list` shows what.
chaos *ARGS: _build-all
    #!/bin/sh
    set -eu
    NATTER_POSTGRES_BIN=$(tools/find-postgres)
    NATTER_BIN='{{ natter }}'
    export NATTER_POSTGRES_BIN NATTER_BIN
    if [ -x '{{ target }}/previous/natter' ]; then
        export NATTER_PREVIOUS_BIN='{{ target }}/previous/natter'
    fi
    exec '{{ target }}/debug/natter-chaos' "$@"

# Builds the release before this one, or REVISION: `chaos` then also rolls from it and back.
previous *REVISION:
    @tools/build-previous "$@"

# Fetches the older nats-servers that the tests of upgrades start with, 7 MiB each, into .tools/.
previous-nats:
    #!/bin/sh
    set -eu
    for version in 2.12.8 2.14.6; do
        python3 tools/fetch-programs "tools/requirements/nats-server-$version.txt" ".tools/nats-server-$version"
    done

# Feeds damaged frames, positions, entries and configuration to what reads them: SECONDS for each TARGET, or all.
fuzz *ARGS:
    @tools/fuzz "$@"

# Writes the generated files anew: schemas of the protocol, the tables of configuration and metrics.
generate: _build
    cargo run --quiet -p natter-protocol-docs
    '{{ natter }}' config --format markdown > '{{ target }}/configuration.md'
    mv '{{ target }}/configuration.md' docs/configuration.md
    '{{ natter }}' metrics > '{{ target }}/metrics.md'
    mv '{{ target }}/metrics.md' docs/operate/metrics.md

# Replays a channel log through two running gateways and checks what everybody received.
replay FILE *ARGS: _build
    #!/bin/sh
    file=$1
    shift
    case $file in
    /*) ;;
    *) file='{{ invocation_directory() }}'/$file ;;
    esac
    exec '{{ natter }}' replay "$file" "$@"

# Tells which programs the recipes use.
tools:
    @rustc --version
    @cargo --version
    @'{{ just_executable() }}' --version
    @"${NATTER_NATS_SERVER:-nats-server}" --version
    @echo "PostgreSQL: $(tools/find-postgres)"
    @test ! -x .tools/lint/cargo-deny || .tools/lint/cargo-deny --version

# Deletes the data of `up`: messages, archive, the development secret.
[confirm('Delete .natter/ with every message in it?')]
clean-data:
    rm -rf .natter

_build:
    @cargo build -p natter

# In one go, so that programs and tests share their dependencies: alone, each would be built with
# other features of them.
_build-all:
    @cargo build --workspace --bins --tests

_format:
    cargo fmt --all --check

_clippy:
    cargo clippy --workspace --all-targets --quiet -- -D warnings -W clippy::too_many_lines

_doc:
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --quiet

# Licences, bans and sources are always checked. Advisories come from a repository that not every network
# reaches: that they were not checked is told, not passed over in silence.
_deny: _lint-programs
    #!/bin/sh
    set -eu
    deny='{{ justfile_directory() }}/.tools/lint/cargo-deny'
    "$deny" --workspace check --hide-inclusion-graph bans licenses sources
    if "$deny" fetch db >/dev/null 2>&1; then
        "$deny" --workspace check advisories --disable-fetch
    elif [ -n "${NATTER_ADVISORIES_REQUIRED:-}" ]; then
        echo 'lint: the advisory database is out of reach' >&2
        exit 1
    else
        echo 'lint: the advisory database is out of reach: advisories were NOT checked'
    fi

_workflows: _lint-programs
    .tools/lint/zizmor --offline --quiet --no-progress --config .github/zizmor.yml .github/workflows

_lint-programs:
    @python3 tools/fetch-programs tools/requirements/lint.txt .tools/lint

_layers:
    tools/check-layers

_sizes:
    tools/check-sizes

_documents: _build-all
    tools/check-docs '{{ just_executable() }}' '{{ natter }}'
