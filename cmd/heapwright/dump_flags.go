package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image"
	"github.com/heapwright/heapwright/image/layout"
	"github.com/heapwright/heapwright/kconfig"
)

// memoryFlags say what a dump does not tell itself.
type memoryFlags struct {
	base, pool     address
	config, system string
	set            bool // one of them was given
}

func (m *memoryFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Var(&m.base, "base", "`ADDR` of the first byte of a raw dump (default: looked for)")
	f.Var(&m.pool, "pool", "`ADDR` where the only pool of interest begins (default: all are looked for)")
	f.StringVar(&m.config, "config", "", "device's configuration: the .config `FILE` that its firmware was built with")
	f.StringVar(&m.system, "layout", "", "allocator in the dump, one `SYSTEM` of: "+strings.Join(layout.Systems(), ", "))
}

// check validates the flags before anything is read.
func (m *memoryFlags) check(cmd *cobra.Command, sources []string) error {
	changed := cmd.Flags().Changed
	m.set = changed("base") || changed("pool") || changed("config") || changed("layout")
	switch {
	case changed("layout") && !slices.Contains(layout.Systems(), m.system):
		return usageError(cmd, fmt.Errorf("--layout is one of %s, not %q", strings.Join(layout.Systems(), ", "), m.system))
	case changed("config") && m.config == "":
		return usageError(cmd, errors.New("--config needs the name of a file: the .config of the firmware's build"))
	case m.pool.given && m.pool.addr == 0:
		return usageError(cmd, errors.New("--pool is the address where a heap begins, which is not 0"))
	case m.config == "-":
		return usageError(cmd, errors.New("--config cannot be read from standard input: give the name of a file"))
	}
	for _, s := range sources {
		for _, p := range pieces(s) {
			if err := misspelt(s, p); err != nil {
				return usageError(cmd, err)
			}
		}
	}
	if m.base.given {
		for _, s := range sources {
			if len(pieces(s)) > 1 || isBased(s) {
				return usageError(cmd, fmt.Errorf("%s has addresses behind its names: leave out --base", s))
			}
		}
	}
	return nil
}

// misspelt says what is wrong with how a piece of a source is given.
func misspelt(source, piece string) error {
	if piece == "" && source != "" {
		return fmt.Errorf("%q names no file on one side of a comma: pieces of one memory are given without blanks, a.bin,b.bin", source)
	}
	i := strings.LastIndexByte(piece, '@')
	if _, base := image.SplitBase(piece); i < 0 || base != nil || exists(piece) {
		return nil
	}
	name, address := piece[:i], piece[i+1:]
	if _, err := strconv.ParseUint(address, 16, 64); err != nil || !exists(name) {
		return nil
	}
	return fmt.Errorf("addresses begin with 0x: %s@0x%s", name, address)
}

// given reports whether the user has said that the sources are memory.
func (m *memoryFlags) given() bool { return m.set }

// isMemory reports whether the user has said so of a source.
func (m *memoryFlags) isMemory(path string) bool {
	return m.set && path != "-" || len(pieces(path)) > 1 || isBased(path)
}

// hints returns what is known about the pools.
func (m *memoryFlags) hints() (layout.Hints, error) {
	h := layout.Hints{System: m.system, At: m.pool.addr}
	if m.config == "" {
		return h, nil
	}
	f, err := os.Open(m.config)
	if errors.Is(err, os.ErrNotExist) {
		return h, fmt.Errorf("--config: there is no file %s: give the .config that the firmware was built with", m.config)
	}
	if err != nil {
		return h, fmt.Errorf("--config: %w", err)
	}
	defer f.Close()
	if h.Config, err = kconfig.ReadConfig(f); err != nil {
		return h, fmt.Errorf("--config: %s: %w", m.config, err)
	}
	return h, nil
}

// pieces returns the files that make up one image: "core,ram.bin@0x80000000".
// A file whose own name is like that is one.
func pieces(source string) []string {
	if !strings.Contains(source, ",") || exists(source) {
		return []string{source}
	}
	parts := strings.Split(source, ",")
	for i, p := range parts {
		if !exists(p) {
			parts[i] = strings.TrimSpace(p)
		}
	}
	return parts
}

// inputFiles returns the files that sources are read from.
func inputFiles(sources []string) (paths []string) {
	for _, s := range sources {
		for _, p := range pieces(s) {
			if name, base := image.SplitBase(p); base != nil && !exists(p) {
				p = name
			}
			paths = append(paths, p)
		}
	}
	return paths
}

// isBased reports whether an address follows a file's name.
func isBased(source string) bool {
	_, base := image.SplitBase(source)
	return base != nil && !exists(source)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// An address is a flag's value.
type address struct {
	addr  heap.Addr
	given bool
}

func (a *address) Set(s string) error {
	digits, ok := strings.CutPrefix(strings.ToLower(s), "0x")
	v, err := strconv.ParseUint(strings.ReplaceAll(digits, "_", ""), 16, 64)
	switch {
	case !ok && s != "0":
		return errors.New("give an address in hexadecimal, such as 0x80000000")
	case err != nil:
		return errors.New("give an address of up to 64 bits, such as 0x80000000")
	}
	*a = address{heap.Addr(v), true}
	return nil
}

func (a *address) Type() string { return "ADDR" }

func (a *address) String() string {
	if !a.given {
		return ""
	}
	return a.addr.String()
}
