# The everyday verbs. `make run` and `make test` are the whole set-up: what they need beyond cargo, npm and python3
# (the conformance suites with their Node, the published clients and servers, cargo-deny) comes pinned, once, into
# the user's cache.

CARGO ?= cargo
# One profile for running, testing and measuring, so that dependencies are compiled once.
PROFILE := --release --locked
TARGET := $(or $(CARGO_TARGET_DIR),target)
BINARY := $(TARGET)/release/portcullis
GUESTS := $(TARGET)/bench-plugins
# Where the plugins are compiled for this machine, to be tested.
GUEST_TESTS := $(abspath $(TARGET))/guest-tests
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/portcullis
DENY_VERSION := 0.20.2
DENY := $(CACHE)/tools-deny-$(DENY_VERSION)/bin/cargo-deny

# How much `make soak` does: schedules of the simulation from which seed, how often the rest is repeated, and how many
# times as much the stress tests do each time.
SOAK_SCHEDULES ?= 1000000
SOAK_SEED ?= 1000000
SOAK_ROUNDS ?= 20
SOAK_SCALE ?= 5
# How many times as much `make torture` does: this is a million messages.
TORTURE_SCALE ?= 20

# The policies that config/example.toml names.
BUNDLED := $(foreach name,mode-access message-validation routing-policy,plugins/$(name)/plugin.wasm)

.PHONY: run build programs plugins plugins-test test fmt clippy doc lint deny audit check conformance compat bench bench-plugins soak torture
# The steps of `make test` share one machine, and some of them measure it.
.NOTPARALLEL:

# $(call step,NAME,COMMAND): says what begins, and how long it took.
define step
@printf '\n==> %s\n' '$(1)'; start=$$(date +%s); $(2); printf '<== %s: %s s\n' '$(1)' "$$(( $$(date +%s) - start ))"
endef
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

## run: builds the gateway and the bundled policies, and starts it with config/example.toml
run: build $(BUNDLED)
	@exec $(BINARY) serve --config config/example.toml

build:
	$(CARGO) build $(PROFILE)

# The program as the tests have it: their features of the dependencies are others than those of `build`, and what was
# compiled for them need not be compiled again.
programs:
	$(CARGO) test $(PROFILE) --no-run

# The plugins that lie in the repository. What Rust needs for their target comes by the script, once.
PLUGINS := $(patsubst %/plugin.toml,%,$(wildcard plugins/*/plugin.toml))
COMPONENTS := $(PLUGINS:%=%/plugin.wasm)
# Whichever of `build` and `programs` came before has made the program.
PLUGIN = CARGO='$(CARGO)' $(BINARY) plugin

## plugins: the plugins in plugins/, from their source
plugins: $(COMPONENTS)

plugins/.toolchain: plugins/toolchain.sh
	$(call step,toolchain for plugins,CARGO='$(CARGO)' plugins/toolchain.sh >/dev/null && touch $@)

.SECONDEXPANSION:
$(COMPONENTS): plugins/%/plugin.wasm: plugins/%/plugin.toml plugins/.toolchain $(wildcard wit/*/*.wit) \
		$$(shell find plugins/kit/src plugins/$$*/src plugins/$$*/wit -type f)
	$(call step,plugin $*,$(PLUGIN) build plugins/$*)

## plugins-test: the logic of those in Rust, the cases of all in plugins/, and what an author does first, in all languages
plugins-test: programs plugins
	$(call step,logic of the plugins,cd plugins && $(CARGO) test --locked --quiet --target-dir '$(GUEST_TESTS)')
	@for plugin in $(PLUGINS); do $(PLUGIN) test $$plugin >$(TARGET)/plugin-test.txt \
		|| { cat $(TARGET)/plugin-test.txt; exit 1; }; echo "$$plugin: $$(tail -n 1 $(TARGET)/plugin-test.txt)"; done
	$(call step,tools for authors,CARGO='$(CARGO)' tests/author/templates.sh $(BINARY))

# The integration tests run the plugins: they come first.
## test: everything that has to pass
test: lint deny programs plugins check plugins-test conformance compat
	@printf '\neverything passed\n'

## lint: format, clippy, documentation; warnings are errors
lint: fmt clippy doc

fmt:
	$(call step,format,$(CARGO) fmt --check && cd plugins && $(CARGO) fmt --check)

# The plugins are a workspace of their own.
clippy:
	$(call step,clippy,$(CARGO) clippy $(PROFILE) --all-targets -- -D warnings)
	$(call step,clippy of the plugins,cd plugins && $(CARGO) clippy --locked --all-targets --target-dir '$(GUEST_TESTS)' -- -D warnings)

doc:
	$(call step,documentation,RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(PROFILE) --no-deps)

## deny: which crates, licences and sources may come into the program
deny: $(DENY)
	$(call step,dependencies,$(DENY) --config .deny.toml check bans licenses sources)
	$(call step,dependencies of the plugins,$(DENY) --manifest-path plugins/Cargo.toml --config plugins/.deny.toml check bans licenses sources)

## audit: known vulnerabilities; fetches the advisory database
audit: $(DENY)
	$(call step,advisories,$(DENY) --config .deny.toml check advisories)
	$(call step,advisories of the plugins,$(DENY) --manifest-path plugins/Cargo.toml --config plugins/.deny.toml check advisories)

# A debug build of the tool: it runs for a second, and compiles in a third of the time.
$(DENY):
	$(call step,install cargo-deny $(DENY_VERSION),CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 \
		CARGO_TARGET_DIR='$(CACHE)/tools-build' $(CARGO) install --locked --debug \
		--root '$(CACHE)/tools-deny-$(DENY_VERSION)' cargo-deny@$(DENY_VERSION) && rm -rf '$(CACHE)/tools-build')

## check: unit tests and integration tests
check:
	$(call step,tests,$(CARGO) test $(PROFILE))

## conformance: the published conformance suites through the gateway, as clients and as servers
conformance: programs
	$(call step,conformance,tests/conformance/through-gateway.sh $(BINARY))
	$(call step,conformance of the other side,tests/conformance/clients.sh $(BINARY))
	$(call step,conformance beside a server without a gateway,tests/conformance/beside_direct.py $(BINARY))

## compat: published servers and clients through the gateway, and that it changes no byte of what the servers say
compat: programs
	$(call step,published software,CARGO='$(CARGO)' python3 tests/compat/run.py $(BINARY))
	$(call step,directly and through,CARGO='$(CARGO)' python3 tests/compat/compare.py $(BINARY))

## bench: Portcullis beside a bare bridge, interleaved
bench:
	$(CARGO) bench --locked --bench bench

## bench-plugins: what a policy costs, in each language, native and behind HTTP; builds the guests with the author's tools
bench-plugins: build $(BUNDLED)
	rm -rf $(GUESTS) && mkdir -p $(GUESTS)
	for lang in rust js python c; do \
		$(BINARY) plugin new guest-$$lang --lang $$lang --hook on-message --in $(GUESTS) && \
			$(BINARY) plugin build $(GUESTS)/guest-$$lang || { echo "no guest in $$lang"; rm -rf $(GUESTS)/guest-$$lang; }; \
	done
	$(CARGO) bench --locked --bench bench-plugins -- --guests $(GUESTS)

## torture: 500 clients that all say `id: 1`, through every door and in both eras, a million messages
torture:
	PORTCULLIS_STRESS_SCALE=$(TORTURE_SCALE) $(CARGO) test $(PROFILE) --test it -- stress::torture --nocapture

## soak: the simulations with many more schedules, the torture, then the stress and leak tests again and again
soak: torture
	PORTCULLIS_SIMULATION_SCHEDULES=$(SOAK_SCHEDULES) PORTCULLIS_SIMULATION_SEED=$(SOAK_SEED) \
		$(CARGO) test $(PROFILE) --test it simulation
	PORTCULLIS_SUSPENDED_SCHEDULES=$$(($(SOAK_SCHEDULES) / 10)) PORTCULLIS_SUSPENDED_SEED=$(SOAK_SEED) \
		$(CARGO) test $(PROFILE) --test it suspended
	for round in $$(seq $(SOAK_ROUNDS)); do \
		echo "round $$round of $(SOAK_ROUNDS)"; PORTCULLIS_STRESS_SCALE=$(SOAK_SCALE) \
			$(CARGO) test $(PROFILE) --test it -- stress classic leaks guard drain; \
	done
