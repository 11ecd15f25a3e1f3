# `make run` boots the demo, `make test` runs all tests. All output is below build/.

ARCH      ?= $(shell uname -m)
ACCEL     ?= tcg
TOOLCHAIN ?= auto
# Words for the guest's kernel command line, such as: make run APPEND=hilum.panic
APPEND    ?=
# With GDB=1 `make run` waits for gdb at port 1234 before the first instruction.
GDB       ?=
# The guest's memory for make run, in MiB; 256 without it.
MEMORY    ?=
# The port of this machine that is forwarded to the port that an appliance publishes.
PORT      ?= 8080
GUEST_PORT_web  := 8080
GUEST_PORT_mqtt := 1883
GUEST_PORT_ops := 22
# What `make run` and `make image` build: an appliance of initramfs/appliances/ for a board of initramfs/boards/.
APPLIANCE ?= web
BOARD     ?= qemu-$(ARCH)
# More of the board, from initramfs/options/: OPTIONS="rpi-wifi".
OPTIONS   ?=
# With KERNEL=tailored an image has a kernel that is built for it, from Debian's source of Linux KERNEL_SOURCE (6.1 or 6.12).
KERNEL        ?=
KERNEL_SOURCE ?= 6.1
# The limit of build/cache in MiB.
CACHE_MIB ?= 8192
# Arguments of cargo test for `make test`.
TESTS     ?= --workspace
# The tasks that `make deps` installs packages for; by default make run and make image.
TASKS     ?= build image run-$(ARCH)
# The duration of `make soak`, in seconds.
SECONDS   ?= 600
# The targets of `make fuzz` (all by default), and the seconds for each.
TARGETS      ?=
FUZZ_SECONDS ?= 300

# For `make bench`: starts of each contestant, the parts to measure (all by default), and whether to write docs/dev/.
RUNS      ?= 100
PARTS     ?=
WRITE     ?=

ARCHS := x86_64 aarch64
# The architecture of this machine.
HOST_ARCH := $(shell uname -m)
# Releases of Debian with the oldest and the newest kernel that is tested (5.10 and 6.12); the default one has 6.1.
OTHER_KERNELS := bullseye trixie
BUILD := $(CURDIR)/build
# The host's tools are built by rustup's cargo if it is installed, otherwise by Debian's.
CARGO := $(shell command -v cargo || echo /usr/bin/cargo)
HOST  := env -u RUSTFLAGS CARGO_TARGET_DIR=$(BUILD)/cargo/host HILUM_BUILD=$(BUILD) $(CARGO)
SOURCES := Cargo.toml $(shell find src linker qemu/probe \( -path src/agent -o -path src/oci \) -prune -o -type f -print)
BUILDER := Cargo.toml Cargo.lock docs/messages.md $(shell find src/logic initramfs/src initramfs/Cargo.toml -type f)
AGENT   := $(shell find src/logic src/agent -type f)
TOOLS   := $(BUILDER) $(shell find qemu/src qemu/Cargo.toml -type f)
# The scripts and the lock file for Debian packages.
DEBIAN  := initramfs/debian/fetch initramfs/debian/unpack initramfs/debian/modules initramfs/debian/lock
SCRIPTS := .ci/run initramfs/dist linker/agent linker/build linker/oci linker/reproducible linker/rustc initramfs/debian/fetch initramfs/debian/install initramfs/debian/kernel \
           initramfs/debian/unpack initramfs/debian/busybox initramfs/appliances/web/root/bin/clock qemu/guests/wifi/ap/bin/ap qemu/guests/oci/disk qemu/guests/oci/disk-aarch64 qemu/guests/oci/run qemu/guests/oci/table qemu/guests/oci/inside/run qemu/guests/oci/inside/podman qemu/guests/oci/inside/containerd qemu/guests/oci/inside/docker qemu/guests/oci/inside/escapes qemu/guests/oci/inside/figures qemu/guests/oci/inside/engines qemu/guests/oci/inside/services qemu/guests/oci/inside/cri qemu/guests/oci/inside/swarm docs/hilum.bash docs/test fuzz/run qemu/bench/builds qemu/bench/first qemu/run-tests
# Each has a Cargo.toml and a Cargo.lock: the library and the host's tools, what runs on a board, the OCI runtime, the fuzz targets.
WORKSPACES := . src/runtime src/oci fuzz
BOARD_ARCH := $(shell sed -n 's/^architecture = "\(.*\)"/\1/p' initramfs/boards/$(BOARD).toml 2>/dev/null)
# An appliance elsewhere is given as its folder, with a slash.
APPLIANCE_FOLDER := $(if $(findstring /,$(APPLIANCE)),$(APPLIANCE:/=),initramfs/appliances/$(APPLIANCE))
APPLIANCE_NAME   := $(notdir $(APPLIANCE_FOLDER))
DESCRIPTIONS = initramfs/boards/$(BOARD).toml $(OPTIONS:%=initramfs/options/%.toml) $(APPLIANCE_FOLDER)/appliance.toml
LOCK = $(APPLIANCE_FOLDER)/appliance.lock
# Whether the kernel is built for the board and the appliance, and where it is then.
TAILORED := $(or $(filter tailored,$(KERNEL)),$(shell grep -qs '^kernel = "tailored"' initramfs/boards/$(BOARD).toml && echo tailored))
IMAGE = $(BUILD)/image/$(BOARD)-$(APPLIANCE_NAME)$(if $(filter tailored,$(KERNEL)),-tailored)
TAILORED_KERNEL = $(BUILD)/kernel/$(BOARD)-$(APPLIANCE_NAME)-$(KERNEL_SOURCE)
NEEDS_AGENT := $(shell grep -ls hilum-agent $(APPLIANCE_FOLDER)/appliance.toml)
export TOOLCHAIN

# Maximum lines of a source file; the limit for functions is in clippy.toml.
FILE_LINES := 400

# The version of an appliance with updates, in place of that in its [update]; for make image and make bundle.
VERSION :=
# The private keys that make bundle signs with, and the bundle that boards have.
KEY   :=
KEY2  :=
SINCE :=
# hilum's own version; src/runtime/Cargo.toml repeats it, and a test compares what the ELF file says.
RELEASE := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

ifeq ($(filter $(ARCH),$(ARCHS)),)
$(error ARCH=$(ARCH) is not supported; choose one of: $(ARCHS))
endif

BOARDS     := $(basename $(notdir $(wildcard initramfs/boards/*.toml)))
APPLIANCES := $(notdir $(wildcard initramfs/appliances/*))

ifeq ($(wildcard initramfs/boards/$(BOARD).toml),)
$(error BOARD=$(BOARD) is not known; choose one of: $(BOARDS))
endif

# Compares the contents of prerequisites, because a checkout changes their times: nothing is compiled if they are the same.
# $(call unless-same,WORDS) goes in front of the commands that compile, and $(same) behind them.
unless-same = sum=$$(echo '$(1)' | cat - $^ | sha256sum); \
    if [ -x $@ ] && [ "$$sum" = "$$(cat $@.made-of 2>/dev/null)" ]; then touch $@; exit 0; fi; set -e; rm -f $@.made-of
same = echo "$$sum" >$@.made-of

.DEFAULT_GOAL := help

.PHONY: help run kernel kernel-config kernel-test update-lock test unit lint advisories docs-test fuzz fuzz-sample miri soak agent day oci oci-test oci-test-aarch64 oci-bats goosebit wifi cuts updates long image bundle dist bench timeline size check deps lock fmt clean install-run install-test install-check fresh
.DELETE_ON_ERROR:

help: ## show this
	@awk '/^##@ / { print substr($$0, 5) ":" } \
	    match($$0, /^[a-z-]+:.*## /) { split($$0, name, ":"); printf "  %-13s%s\n", name[1], substr($$0, RLENGTH + 1) }' Makefile
	@echo "variables:"
	@echo "  ARCH=$(subst $() ,|,$(ARCHS))            the board's architecture (now $(ARCH))"
	@echo "  APPLIANCE=NAME                 one of: $(APPLIANCES) (now $(APPLIANCE))"
	@echo "  BOARD=NAME                     for make image, one of: $(BOARDS) (now $(BOARD))"
	@echo "  OPTIONS='NAME...'              more of the board for make image: $(basename $(notdir $(wildcard initramfs/options/*.toml)))"
	@echo "  ACCEL=tcg|kvm                  accelerator of QEMU (now $(ACCEL))"
	@echo "  TOOLCHAIN=auto|debian|rustup   toolchain of the board's ELF files (now $(TOOLCHAIN))"
	@echo "  PORT=NUMBER                    the host port forwarded to the appliance (now $(PORT))"
	@echo "  APPEND='WORD...'               added to the guest's kernel command line"
	@echo "  RUNS=NUMBER PARTS='PART...'    for make bench: number of starts, and which parts"
	@echo "  WRITE=1                        make bench and make timeline write their results to docs/dev/"
	@echo "  TESTS='WORD...'                arguments of cargo test for make test (CONTRIBUTING.md)"
	@echo "  TASKS='TASK...'                tasks that make deps installs for (now $(TASKS))"
	@echo "  SIGN=KEY                       key that make image signs UEFI disks with (KEY.key, KEY.crt)"
	@echo "  KERNEL=tailored                make run and make image take a kernel that is built for them (docs/kernel.md)"
	@echo "  KERNEL_SOURCE=6.1|6.12         the version of Linux that it is made of (now $(KERNEL_SOURCE))"
	@echo "  VERSION=NUMBER                 version of an image or bundle with updates, in place of that in [update]"
	@echo "  KEY=FILE KEY2=FILE             private keys that make bundle signs with, in PEM"
	@echo "  SINCE=BUNDLE                   make bundle leaves out what this bundle has, for boards that run its version"
	@echo "  CACHE_MIB=MIB                  limit of build/cache ($(CACHE_MIB))"
	@echo "  MEMORY=MIB                     memory of the guest of make run (256)"
	@echo "  TIME=1                         make run prints when the appliance's page was served"
	@echo "  GDB=1                          make run waits for gdb at port 1234 (CONTRIBUTING.md)"
	@echo "  DEBIAN_MIRROR=URL              mirror of Debian packages"

##@ boards and images
run: BOARD := qemu-$(ARCH)
run: image $(BUILD)/tools/hilum-qemu ## boot an appliance (APPLIANCE, the demo) in QEMU, on this terminal
	@$(BUILD)/tools/hilum-qemu run --arch $(ARCH) --accel $(ACCEL) --image $(IMAGE) $(if $(filter microvm-%,$(BOARD)),--microvm) \
	    --publish $(PORT):$(or $(GUEST_PORT_$(APPLIANCE_NAME)),8080) --append "$(APPEND)" $(if $(GDB),--gdb) $(if $(TIME),--time) $(if $(MEMORY),--memory $(MEMORY)) $(if $(BUNDLE),--bundle $(BUNDLE))

image: $(BUILD)/tools/hilum-initramfs $(BUILD)/board/$(BOARD_ARCH)/hilum $(if $(NEEDS_AGENT),$(BUILD)/board/$(BOARD_ARCH)/hilum-agent) | $(BUILD)/installed-image $(if $(SIGN),$(BUILD)/installed-sign) ## build an appliance (APPLIANCE) for a board (BOARD) into build/image/
	@test -f $(APPLIANCE_FOLDER)/appliance.toml || { echo "no $(APPLIANCE_FOLDER)/appliance.toml; APPLIANCE is a folder with a slash, or one of: $(APPLIANCES)" >&2; exit 1; }
	@set -e; if [ -n "$$($(BUILD)/tools/hilum-initramfs unlocked $(DESCRIPTIONS))" ]; then $(MAKE) --silent update-lock BOARD=$(BOARD) APPLIANCE=$(APPLIANCE); fi; \
	words=$$($(BUILD)/tools/hilum-initramfs packages $(DESCRIPTIONS)); LOCK=$(LOCK) initramfs/debian/unpack $$words; \
	$(if $(TAILORED),$(MAKE) --silent kernel BOARD=$(BOARD) APPLIANCE=$(APPLIANCE) KERNEL_SOURCE=$(KERNEL_SOURCE); )\
	set -- $$words; $(BUILD)/tools/hilum-initramfs image $(DESCRIPTIONS) $(if $(TAILORED),--kernel $(TAILORED_KERNEL)) --init $(BUILD)/board/$(BOARD_ARCH)/hilum \
	    --packages $(BUILD)/debian/packages/$$1-$$2 --output $(IMAGE) --cache $(BUILD)/cache --cache-mib $(CACHE_MIB) $(if $(SIGN),--sign $(SIGN)) $(if $(VERSION),--version $(VERSION))

kernel-config: $(BUILD)/tools/hilum-initramfs ## print the options of a kernel for an appliance (APPLIANCE) and a board (BOARD), each with what asks for it
	@$(BUILD)/tools/hilum-initramfs kernel-config $(DESCRIPTIONS)

kernel: $(BUILD)/tools/hilum-initramfs | $(BUILD)/installed-build $(BUILD)/installed-kernel-$(BOARD_ARCH) ## build a kernel (KERNEL_SOURCE) for an appliance (APPLIANCE) and a board (BOARD), once for each set of options
	@mkdir -p $(BUILD)/kernel
	@$(BUILD)/tools/hilum-initramfs kernel-config $(DESCRIPTIONS) >$(TAILORED_KERNEL).fragment
	@initramfs/debian/kernel $(BOARD_ARCH) $(KERNEL_SOURCE) $(TAILORED_KERNEL).fragment $(TAILORED_KERNEL)

bundle: image | $(BUILD)/installed-bundle ## make the file by which boards with [update] are updated: build an appliance (APPLIANCE) for a board (BOARD) and sign it (KEY)
	@test -n "$(KEY)" || { echo "no key; write: make bundle KEY=update.key" >&2; exit 1; }
	@$(BUILD)/tools/hilum-initramfs bundle $(BUILD)/image/$(BOARD)-$(APPLIANCE_NAME) --key $(KEY) $(if $(KEY2),--key $(KEY2)) $(if $(SINCE),--since $(SINCE))

update-lock: $(BUILD)/tools/hilum-initramfs | $(BUILD)/installed-image ## take the newest versions of an appliance's packages (APPLIANCE) and their dependencies into its appliance.lock
	@set -e; set -- $$($(BUILD)/tools/hilum-initramfs unlocked --all $(DESCRIPTIONS)); index=$$(initramfs/debian/unpack --lists $$1 $$2); \
	$(BUILD)/tools/hilum-initramfs lock $(DESCRIPTIONS) --date $$(date -u +%Y%m%dT%H%M%SZ) --index $$index

size: $(foreach a,$(ARCHS),$(BUILD)/board/$(a)/hilum $(BUILD)/board/$(a)/hilum.symbols) $(BUILD)/tools/hilum-initramfs ## print bytes: the ELF file, its sections and families of functions, the demo's initramfs
	@for a in $(ARCHS); do \
	    $(MAKE) -s image BOARD=qemu-$$a APPLIANCE=web >/dev/null 2>&1 || exit 1; \
	    printf '%s: hilum %s bytes of %s; demo initramfs %s bytes\n' "$$a" "$$(stat -c %s $(BUILD)/board/$$a/hilum)" \
	        "$$(grep -v '^#' linker/budget/$$a)" "$$(stat -c %s $(BUILD)/image/qemu-$$a-web/initramfs)"; \
	    $(BUILD)/tools/hilum-initramfs sizes $(BUILD)/board/$$a/hilum.symbols; \
	done

deps: ## install the Debian packages that make run and make image need, or those of TASKS; as root or by sudo
	@initramfs/debian/install --install $(TASKS)

lock: ## take the newest version of every Debian package of initramfs/debian/lock into it
	@awk '/^[^#]/ { key = $$1 " " $$2; names[key] = names[key] " " $$3 } END { for (key in names) print key names[key] }' initramfs/debian/lock | \
	    while read -r words; do initramfs/debian/unpack --lock $$words </dev/null || exit 1; done

clean: ## remove build/
	rm -rf $(BUILD)

##@ before a change is done
fmt: install-check ## format the sources
	@for workspace in $(WORKSPACES); do $(CARGO) fmt --all --manifest-path $$workspace/Cargo.toml || exit 1; done

check: lint install-test $(foreach a,$(ARCHS),$(BUILD)/board/$(a)/hilum) $(BUILD)/tools/hilum-initramfs ## lint, then: ELF files inside their budgets, same bytes from another folder
	@for a in $(ARCHS); do \
	    $(BUILD)/tools/hilum-initramfs check-elf $(BUILD)/board/$$a/hilum --budget linker/budget/$$a \
	        --forbid "$(CURDIR)" --forbid "$(HOME)" --forbid /usr/lib/rustlib || exit 1; \
	done
	@linker/reproducible $(ARCH)
	@echo "check: ok"

lint: install-check $(BUILD)/installed-build $(BUILD)/tools/cargo-deny $(BUILD)/tools/cargo-machete ## formatting, long files, clippy, floors, documentation, dependencies, scripts
	@for workspace in $(WORKSPACES); do $(CARGO) fmt --all --manifest-path $$workspace/Cargo.toml --check || exit 1; done
	@find . -path ./build -prune -o -name '*.rs' -exec awk 'FNR == $(FILE_LINES) + 1 { bad = 1; \
	    print FILENAME ": more than $(FILE_LINES) lines; split it along what its parts are, and name the new file for its part" } \
	    END { exit bad }' {} + >&2
	@$(HOST) clippy --quiet --locked --workspace --all-targets -- -D warnings
	@$(HOST) board --quiet --locked -- -D warnings
	@$(HOST) clippy --quiet --locked --manifest-path src/oci/Cargo.toml --all-targets -- -D warnings
	@said=$$($(HOST) test --quiet --locked -p hilum --test floors 2>&1) || { echo "$$said" >&2; exit 1; }
	@RUSTDOCFLAGS="-D warnings" $(HOST) doc --quiet --locked --no-deps --document-private-items --workspace
	@RUSTDOCFLAGS="-D warnings" $(HOST) board-doc --quiet --locked --target-dir $(BUILD)/cargo/board-doc
	@$(BUILD)/tools/cargo-deny --log-level error --locked --workspace check licenses bans sources
	@$(BUILD)/tools/cargo-deny --log-level error --locked --workspace --manifest-path src/runtime/Cargo.toml --config deny.toml \
	    check --allow license-not-encountered licenses bans sources
	@$(BUILD)/tools/cargo-deny --log-level error --locked --manifest-path src/oci/Cargo.toml --config deny.toml \
	    check --allow license-not-encountered licenses bans sources
	@said=$$($(BUILD)/tools/cargo-machete --skip-target-dir 2>&1) || { echo "$$said" >&2; exit 1; }
	@shellcheck $(SCRIPTS)

unit: $(BUILD)/installed-build $(BUILD)/installed-unit ## the tests that need neither root nor QEMU: library, image builder, cells and leases
	@$(HOST) board-test --quiet --locked
	@$(HOST) test --quiet --locked --manifest-path src/oci/Cargo.toml --lib
	@$(HOST) test --quiet --locked -p hilum
	@$(HOST) test --quiet --locked -p hilum-initramfs --lib

test: install-test $(foreach a,$(ARCHS),$(BUILD)/board/$(a)/hilum $(BUILD)/image/$(a)/busybox/bin/busybox $(foreach r,$(OTHER_KERNELS),$(BUILD)/debian/$(a)-$(r)/vmlinuz)) $(BUILD)/tools/hilum-initramfs $(BUILD)/tools/hilum-agent $(BUILD)/tools/hilum-counted $(BUILD)/debian/packages/of-every-board $(BUILD)/tools/firmware ## run every test, on the host and in QEMU, for both architectures
	@$(if $(filter --workspace,$(TESTS)),$(HOST) board-test --quiet --locked)
	@env -u RUSTFLAGS CARGO_TARGET_DIR=$(BUILD)/cargo/host HILUM_BUILD=$(BUILD) qemu/run-tests $(CARGO) $(TESTS)

docs-test: install-test $(BUILD)/installed-docs $(foreach a,$(ARCHS),$(BUILD)/board/$(a)/hilum $(BUILD)/image/$(a)/busybox/bin/busybox) $(BUILD)/tools/hilum-initramfs $(BUILD)/tools/hilum-qemu ## as root: execute every command block of README and docs (PAGES names some)
	@docs/test

##@ longer tests
fuzz: $(BUILD)/installed-fuzz ## run each fuzz target (TARGETS, all) for FUZZ_SECONDS (300); findings go below build/fuzz/
	@CARGO=$(CARGO) HILUM_BUILD=$(BUILD) TARGETS="$(TARGETS)" fuzz/run -max_total_time=$(FUZZ_SECONDS)

fuzz-sample: $(BUILD)/installed-fuzz ## the same for a fixed number of inputs, as CI does
	@CARGO=$(CARGO) HILUM_BUILD=$(BUILD) TARGETS="$(TARGETS)" fuzz/run -runs=50000 -seed=1 -max_len=16384

miri: ## run the tests of the unsafe floor's cells and guards under miri, by rustup's nightly with the components miri and rust-src
	@env -u RUSTFLAGS CARGO_TARGET_DIR=$(BUILD)/cargo/miri cargo +nightly miri test --quiet --locked --manifest-path src/runtime/Cargo.toml -p hilum-sys

soak: install-test $(foreach a,$(ARCHS),$(BUILD)/board/$(a)/hilum) ## kill workloads, and unplug disks, cables and devices, at random for SECONDS (600), and look for drift
	@HILUM_SOAK_SECONDS=$(SECONDS) $(HOST) test --quiet --locked -p hilum-qemu -- host::soak guest::soak randomly_plugged --include-ignored --nocapture

agent: install-test $(BUILD)/installed-agent $(foreach a,$(ARCHS),$(BUILD)/board/$(a)/hilum $(BUILD)/board/$(a)/hilum-agent) ## build hilum-agent for boards, boot 32 workloads with it on both architectures, and print its time, memory and bytes
	@HILUM_AGENT=board $(HOST) test --quiet --locked -p hilum-qemu -- guest::agent --include-ignored --nocapture

day: install-test $(BUILD)/installed-agent $(foreach a,$(ARCHS),$(BUILD)/board/$(a)/hilum $(BUILD)/board/$(a)/hilum-agent) $(BUILD)/debian/packages/of-every-board ## let boards of both architectures live through a day: time, metrics, lines, ssh, an update that fails and one that is committed
	@HILUM_AGENT=board $(HOST) test --quiet --locked -p hilum-qemu -- whole_day --include-ignored --nocapture

oci: $(BUILD)/installed-build $(BUILD)/installed-bench $(BUILD)/image/$(HOST_ARCH)/busybox/bin/busybox ## as root: test hilum-oci with bundles on this host, beside crun
	@$(HOST) test --quiet --locked --manifest-path src/oci/Cargo.toml

oci-test: $(BUILD)/installed-oci $(BUILD)/installed-run-x86_64 $(BUILD)/oci/x86_64/root.ext4 $(BUILD)/tools/hilum-oci ## as root: compare hilum-oci with crun and runc, under podman, containerd and Docker in Debian guests (PARTS, WRITE)
	@ACCEL=$(ACCEL) WRITE=$(WRITE) qemu/guests/oci/run $(BUILD)/oci/x86_64 $(BUILD)/tools/hilum-oci $(PARTS)

# podman's own tests of what a runtime does, by the names of their files.
BATS ?= 030-run 032-sig-proxy 035-logs 045-start 050-stop 055-rm 075-exec 080-pause 130-kill 170-run-userns 180-blkio 190-run-ipcns \
    200-pod 220-healthcheck 280-update 420-cgroups 450-interactive
oci-bats: $(BUILD)/installed-oci $(BUILD)/installed-run-x86_64 $(BUILD)/oci/x86_64/root.ext4 $(BUILD)/tools/hilum-oci $(BUILD)/oci/podman-tests ## as root: run podman's own system tests (BATS) with hilum-oci and crun
	@ACCEL=$(ACCEL) OCI_RUNTIMES="/test/hilum-oci crun" OCI_TESTS=$(BUILD)/oci/podman-tests OCI_FILES="$(BATS)" OCI_SECONDS=9000 \
	    qemu/guests/oci/run $(BUILD)/oci/x86_64 $(BUILD)/tools/hilum-oci bats

$(BUILD)/oci/podman-tests: qemu/guests/oci/podman-tests | $(BUILD)/installed-oci
	@qemu/guests/oci/podman-tests $@

goosebit: $(BUILD)/tools/goosebit ## offer an update to hilum-agent by goosebit, a server with hawkBit's API
	@HILUM_GOOSEBIT=$</bin/python $(HOST) test --quiet --locked -p hilum-agent goosebit -- --ignored

oci-test-aarch64: $(BUILD)/installed-oci $(BUILD)/installed-run-aarch64 $(BUILD)/oci/aarch64/root.ext4 $(BUILD)/tools/hilum-oci-aarch64 ## as root: the same on aarch64, under podman
	@qemu/guests/oci/run $(BUILD)/oci/aarch64 $(BUILD)/tools/hilum-oci-aarch64 $(or $(PARTS),podman)

wifi: install-test $(BUILD)/board/x86_64/hilum $(BUILD)/tools/hilum-initramfs ## associate a board with a virtual access point by WPA2 and WPA3, and take the access point away
	@LOCK=initramfs/appliances/wifi/appliance.lock initramfs/debian/unpack $$($(BUILD)/tools/hilum-initramfs packages $(RADIOS) initramfs/appliances/wifi/appliance.toml)
	@$(HOST) test --quiet --locked -p hilum-qemu --test it -- guest::wifi --include-ignored --nocapture

cuts: install-test $(foreach a,$(ARCHS),$(BUILD)/board/$(a)/hilum) ## cut the power after each write of an update and at 25 moments of writing workloads, and boot each time
	@HILUM_ALL_CUTS=1 $(HOST) test --quiet --locked -p hilum-qemu -- power_cut --include-ignored --nocapture

long: install-test $(foreach a,$(ARCHS),$(BUILD)/board/$(a)/hilum $(BUILD)/image/$(a)/busybox/bin/busybox) $(BUILD)/tools/firmware ## run the tests that make test runs on one architecture on the other one
	@$(HOST) test --quiet --locked -p hilum-qemu --test it -- --ignored long::

updates: install-test $(BUILD)/board/x86_64/hilum $(BUILD)/image/x86_64/busybox/bin/busybox ## update a board 200 times in a row, and measure the first one, of 64 MiB, beside dd
	@HILUM_UPDATES=200 $(HOST) test --quiet --locked -p hilum-qemu -- updates_in_a_row --nocapture

# The kernel with the options of all features, which the tests of guests need. Those of the other architecture need another one, and the
# budget of instructions is for Debian's.
EVERYTHING := $(BUILD)/kernel/tests-$(HOST_ARCH)
kernel-test: install-test $(BUILD)/tools/hilum-initramfs $(BUILD)/board/$(HOST_ARCH)/hilum $(BUILD)/image/$(HOST_ARCH)/busybox/bin/busybox $(foreach r,$(OTHER_KERNELS),$(BUILD)/debian/$(HOST_ARCH)-$(r)/vmlinuz) $(BUILD)/tools/hilum-agent $(BUILD)/tools/hilum-counted $(BUILD)/debian/packages/of-every-board $(BUILD)/tools/firmware | $(BUILD)/installed-kernel-$(HOST_ARCH) ## build tailored kernels (minutes), boot the demo with them, and run the tests of guests (TESTS) on one with all options
	@$(MAKE) --silent image BOARD=qemu-$(HOST_ARCH) APPLIANCE=web
	@$(MAKE) --silent image KERNEL=tailored BOARD=qemu-$(HOST_ARCH) APPLIANCE=web
	@$(MAKE) --silent image BOARD=microvm-x86_64 APPLIANCE=web
	@$(HOST) test --quiet --locked -p hilum-qemu --test it -- guest::tailored --include-ignored --nocapture --test-threads 1
	@$(BUILD)/tools/hilum-initramfs kernel-config --everything initramfs/boards/qemu-$(HOST_ARCH).toml >$(EVERYTHING).fragment
	@initramfs/debian/kernel $(HOST_ARCH) $(KERNEL_SOURCE) $(EVERYTHING).fragment $(EVERYTHING)
	@HILUM_KERNEL=tailored $(HOST) test --quiet --locked -p hilum-qemu --test it -- $(patsubst --workspace,guest::,$(TESTS)) \
	    $(patsubst %,--skip %::,$(filter-out $(HOST_ARCH),$(ARCHS))) --skip instruction_budget

advisories: $(BUILD)/tools/cargo-deny ## ask the advisory database (network) about the dependencies
	@for workspace in . src/runtime; do \
	    $(BUILD)/tools/cargo-deny --log-level error --locked --workspace --manifest-path $$workspace/Cargo.toml --config deny.toml \
	        check advisories || exit 1; \
	done

##@ releases and measurements
dist: $(BUILD)/installed-dist $(BUILD)/installed-image $(BUILD)/installed-agent $(BUILD)/tools/hilum-initramfs $(foreach a,$(ARCHS),$(BUILD)/board/$(a)/hilum $(BUILD)/board/$(a)/hilum-agent) ## a release into build/dist/: ELF files, images of all BOARDS and APPLIANCES, lists of what is in them, sources, checksums
	@initramfs/dist $(RELEASE) "$(ARCHS)" "$(filter-out microvm-%,$(BOARDS))" "$(APPLIANCES)"

bench: $(BUILD)/installed-bench $(if $(if $(PARTS),$(filter power,$(PARTS)),all),$(ARCHS:%=$(BUILD)/installed-kernel-%)) $(BUILD)/bench/ready ## as root: measure starts, boots, memory and sizes, side by side with other tools
	@for a in $(ARCHS); do $(MAKE) -s image BOARD=qemu-$$a APPLIANCE=web >/dev/null || exit 1; done
	@$(if $(if $(PARTS),$(filter power,$(PARTS)),all),$(MAKE) -s image KERNEL=tailored BOARD=qemu-x86_64 APPLIANCE=web && \
	    $(MAKE) -s image BOARD=microvm-x86_64 APPLIANCE=web && $(MAKE) -s image KERNEL=tailored BOARD=qemu-aarch64 APPLIANCE=web)
	@$(BUILD)/tools/hilum-bench run --build $(BUILD) --runs $(RUNS) $(and $(WRITE),--docs docs/dev) $(PARTS)

timeline: $(BUILD)/tools/hilum-bench $(BUILD)/debian/$(HOST_ARCH)/busybox | $(BUILD)/installed-run-$(HOST_ARCH) ## boot the demo and draw what happens when, as build/timeline.svg
	@$(MAKE) -s image BOARD=qemu-$(HOST_ARCH) APPLIANCE=web >/dev/null
	@$(BUILD)/tools/hilum-bench timeline --build $(BUILD) $(BUILD)/timeline.svg $(and $(WRITE),docs/dev/timeline.svg)

# Built files by their relative names, as people type them.
build/%: $(BUILD)/% ;

# Checks once per checkout whether the packages of a task are installed.
$(BUILD)/installed-%: initramfs/debian/install
	@initramfs/debian/install $*
	@mkdir -p $(BUILD) && touch $@

# Writes keys into the variables of a UEFI firmware, for a test; from PyPI, by its digest.
$(BUILD)/tools/firmware: qemu/tests/firmware.txt | $(BUILD)/installed-test
	@rm -rf $@
	@/usr/bin/python3 -m venv --system-site-packages $@
	@$@/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

# The same for the server of updates that make goosebit starts; for Python 3.11 on x86_64.
$(BUILD)/tools/goosebit: src/agent/updates/requirements.txt | $(BUILD)/installed-test
	@rm -rf $@
	@/usr/bin/python3 -m venv $@
	@$@/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

install-test: $(BUILD)/installed-build $(ARCHS:%=$(BUILD)/installed-run-%) $(BUILD)/installed-image $(BUILD)/installed-unit $(BUILD)/installed-sign $(BUILD)/installed-test
install-check: $(BUILD)/installed-check

# Tools that check dependencies (deny.toml) and find unused ones. Without optimisation they compile in a third of the time.
VERSION_OF_deny    := 0.20.2
VERSION_OF_machete := 0.9.2
$(BUILD)/tools/cargo-%: | $(BUILD)/installed-build
	@echo "compiling cargo-$* $(VERSION_OF_$*), once"
	@env -u RUSTFLAGS CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install --quiet --debug --locked --no-default-features --version $(VERSION_OF_$*) \
	    --root $(BUILD)/cargo/installed --target-dir $(BUILD)/cargo/installed/objects cargo-$*
	@rm -rf $(BUILD)/cargo/installed/objects
	@mkdir -p $(@D) && cp $(BUILD)/cargo/installed/bin/cargo-$* $@

$(BUILD)/tools/hilum-qemu: $(TOOLS) | $(BUILD)/installed-build $(BUILD)/installed-run-$(ARCH)
	@$(call unless-same); echo "compiling hilum-qemu; the first time takes minutes"; \
	$(HOST) build --quiet --locked -p hilum-qemu; \
	mkdir -p $(@D); cp $(BUILD)/cargo/host/debug/hilum-qemu $@; $(same)

# Static, because it also runs in a guest that has another libc than this machine.
$(BUILD)/tools/hilum-bench: $(TOOLS) $(wildcard qemu/bench/*.rs qemu/bench/Cargo.toml) | $(BUILD)/installed-build
	@env RUSTFLAGS=-Ctarget-feature=+crt-static CARGO_TARGET_DIR=$(BUILD)/cargo/static $(CARGO) build --quiet --locked --release \
	    --target $(HOST_ARCH)-unknown-linux-gnu -p hilum-bench
	@mkdir -p $(@D) && cp $(BUILD)/cargo/static/$(HOST_ARCH)-unknown-linux-gnu/release/hilum-bench $@

# Optimized, unlike the board's ELF files: it only matters that it is the same each time.
$(BUILD)/tools/hilum-counted: $(TOOLS) $(wildcard qemu/bench/counted/*) initramfs/appliances/web/hilum.conf | $(BUILD)/installed-build
	@$(HOST) build --quiet --locked --release -p hilum-counted
	@mkdir -p $(@D) && cp $(BUILD)/cargo/host/release/hilum-counted $@

$(BUILD)/bench/floor: qemu/bench/floor.c | $(BUILD)/installed-bench
	@mkdir -p $(@D) && gcc -O2 -Wall -Wextra -Wno-unused-value -static -o $@ $<

# Inputs of the benchmark: the root filesystem of its guest's workload consists of packages and this folder.
$(BUILD)/bench/ready: $(BUILD)/tools/hilum-bench $(BUILD)/bench/floor $(BUILD)/board/$(HOST_ARCH)/hilum $(BUILD)/board/$(HOST_ARCH)/hilum-agent $(BUILD)/debian/$(HOST_ARCH)/busybox $(BUILD)/tools/hilum-initramfs $(wildcard qemu/guests/bench/*.toml) | $(BUILD)/installed-run-$(HOST_ARCH)
	@mkdir -p $(addprefix $(BUILD)/bench/root/,bin board rootfs) $(addprefix $(BUILD)/bench/verity-root/,bin board images)
	@cp $(BUILD)/tools/hilum-bench $(BUILD)/bench/floor $(BUILD)/bench/root/bin/
	@cp $(BUILD)/tools/hilum-bench $(BUILD)/bench/verity-root/bin/
	@mkdir -p $(BUILD)/bench/verity/bin && cp $(BUILD)/board/$(HOST_ARCH)/probe $(BUILD)/bench/verity/bin/
	@initramfs/debian/unpack $$($(BUILD)/tools/hilum-initramfs packages initramfs/boards/qemu-$(HOST_ARCH).toml qemu/guests/bench/starts.toml) \
	    $$($(BUILD)/tools/hilum-bench packages)
	@initramfs/debian/unpack $$($(BUILD)/tools/hilum-initramfs packages initramfs/boards/qemu-$(HOST_ARCH).toml qemu/guests/bench/verity.toml)
	@touch $@

OCI := linker/oci $(shell find src -path src/agent -prune -o -type f -name '*.rs' -print) src/oci/Cargo.toml src/oci/Cargo.lock
$(BUILD)/tools/hilum-oci: $(OCI) | $(BUILD)/installed-build $(BUILD)/installed-oci
	@echo "compiling hilum-oci with a standard library; the first time takes minutes"; env -u RUSTFLAGS linker/oci $@

$(BUILD)/tools/hilum-oci-aarch64: $(OCI) | $(BUILD)/installed-build $(BUILD)/installed-oci
	@echo "compiling hilum-oci with a standard library; the first time takes minutes"; env -u RUSTFLAGS linker/oci $@ aarch64

# The guest of make oci-test, once: a Debian root filesystem with engines and runtimes.
$(BUILD)/oci/x86_64/root.ext4: qemu/guests/oci/disk | $(BUILD)/installed-oci
	@echo "making a Debian guest; that takes minutes"; qemu/guests/oci/disk $(@D)

$(BUILD)/oci/aarch64/root.ext4: qemu/guests/oci/disk-aarch64 | $(BUILD)/installed-oci
	@echo "making a Debian guest; that takes minutes"; qemu/guests/oci/disk-aarch64 $(@D)

$(BUILD)/tools/hilum-initramfs: $(BUILDER) | $(BUILD)/installed-build
	@$(call unless-same); echo "compiling hilum-initramfs; the first time takes minutes"; \
	$(HOST) build --quiet --locked -p hilum-initramfs; \
	mkdir -p $(@D); cp $(BUILD)/cargo/host/debug/hilum-initramfs $@; $(same)

# Eight programs of Debian in one machine, which only x86_64 tests.
PROGRAMS := qemu/guests/programs/appliance

# A machine with radios, only for make wifi.
RADIOS := qemu/guests/wifi/radios.toml

# For tests: one static file without optimization, whose libraries are those of its unit tests; linker/agent builds those of boards.
$(BUILD)/tools/hilum-agent: Cargo.toml Cargo.lock $(AGENT) | $(BUILD)/installed-build
	@$(call unless-same); $(HOST) rustc --quiet --locked -p hilum-agent --bin hilum-agent -- -Ctarget-feature=+crt-static -Cstrip=symbols; \
	mkdir -p $(@D); cp $(BUILD)/cargo/host/debug/hilum-agent $@; $(same)

# The packages for images in tests.
$(BUILD)/debian/packages/of-every-board: $(BUILD)/tools/hilum-initramfs initramfs/debian/unpack initramfs/debian/lock $(wildcard initramfs/boards/*.toml initramfs/appliances/*/appliance.toml qemu/guests/*.toml $(PROGRAMS).*)
	@set -e; for board in $(BOARDS); do for appliance in $(APPLIANCES); do \
	    LOCK=initramfs/appliances/$$appliance/appliance.lock initramfs/debian/unpack $$($(BUILD)/tools/hilum-initramfs packages \
	        initramfs/boards/$$board.toml initramfs/appliances/$$appliance/appliance.toml); \
	done; done; \
	for arch in $(ARCHS); do for guest in $(wildcard qemu/guests/*.toml); do \
	    initramfs/debian/unpack $$($(BUILD)/tools/hilum-initramfs packages initramfs/boards/qemu-$$arch.toml $$guest); \
	done; done; \
	initramfs/debian/unpack $(HOST_ARCH) bookworm chrony ntpsec; \
	LOCK=$(PROGRAMS).lock initramfs/debian/unpack $$($(BUILD)/tools/hilum-initramfs packages initramfs/boards/qemu-x86_64.toml $(PROGRAMS).toml)
	@touch $@

# The rules of one architecture.
define ARCH_RULES
$(BUILD)/board/$(1)/hilum: $(SOURCES) | $(BUILD)/installed-build
	@$$(call unless-same,$(TOOLCHAIN)); linker/build $(1); touch $$@; $$(same)

$(BUILD)/board/$(1)/hilum-agent: linker/agent Cargo.toml Cargo.lock $(AGENT) | $(BUILD)/installed-build $(if $(filter $(1),$(HOST_ARCH)),,$(BUILD)/installed-agent)
	@$$(call unless-same,$(TOOLCHAIN)); linker/agent $(1); touch $$@; $$(same)

$(BUILD)/board/$(1)/hilum.symbols: $(SOURCES) | $(BUILD)/installed-build
	@linker/build $(1) symbols
	@touch $$@

$(BUILD)/debian/$(1)/busybox: $(DEBIAN) | $(BUILD)/installed-build
	@initramfs/debian/fetch $(1)
	@touch $$@

$(BUILD)/image/$(1)/busybox/bin/busybox: $(BUILD)/debian/$(1)/busybox initramfs/debian/busybox
	@initramfs/debian/busybox $(1)
	@touch $$@
endef
$(foreach a,$(ARCHS),$(eval $(call ARCH_RULES,$(a))))

define OTHER_KERNEL
$(BUILD)/debian/$(1)-$(2)/vmlinuz: $(DEBIAN) | $(BUILD)/installed-build
	@initramfs/debian/fetch $(1) $(2)
	@touch $$@
endef
$(foreach a,$(ARCHS),$(foreach r,$(OTHER_KERNELS),$(eval $(call OTHER_KERNEL,$(a),$(r)))))
