package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image/layout"
)

// Where no heap is found, what was given may be to blame, or the heap may lie in
// a file of its own.

// An omission is what is searched with if a flag is left out.
type omission struct {
	flag  string
	given bool
	leave func(h *layout.Hints, base *bool)
}

func omissions(flags *memoryFlags) []omission {
	all := []omission{
		{"base", flags.base.given, func(_ *layout.Hints, base *bool) { *base = false }},
		{"pool", flags.pool.given, func(h *layout.Hints, _ *bool) { h.At = 0 }},
		{"layout", flags.system != "", func(h *layout.Hints, _ *bool) { h.System = "" }},
		{"config", flags.config != "", func(h *layout.Hints, _ *bool) { h.Config = nil }},
	}
	return slices.DeleteFunc(all, func(o omission) bool { return !o.given })
}

// blame says, a line each, which flags may be wrong: it searches without each of
// them, and without all. It moves the dump and forgets what was searched.
func (d *dump) blame(flags *memoryFlags, h layout.Hints) string {
	var b strings.Builder
	all, none, based := omissions(flags), h, true
	found := false
	for _, o := range all {
		one, base := h, true
		o.leave(&one, &base)
		o.leave(&none, &based)
		fmt.Fprintf(&b, "\n  without --%-6s it may be wrong, and need not be given", o.flag)
		if s := d.foundWith(one, base, flags); s != "" {
			found = true
			b.WriteString(": without it there is " + s)
		}
	}
	if !found && len(all) > 1 {
		if s := d.foundWith(none, based, flags); s != "" {
			b.WriteString("\n  without all of these there is " + s)
		}
	}
	return b.String()
}

// foundWith says which heap is found with other hints, and at the base given or
// an unknown one; "" if there is none.
func (d *dump) foundWith(h layout.Hints, based bool, flags *memoryFlags) string {
	err := d.do(func() error {
		switch {
		case based && flags.base.given:
			return d.searchAt(flags.base.addr, h)
		case flags.base.given || d.unbased:
			return d.findUnbased(h)
		}
		return d.search(h)
	})
	if err != nil || len(d.pools) == 0 {
		return ""
	}
	a := d.pools[0].About()
	return fmt.Sprintf("a heap of %s at %s", a.System, a.Span.Start)
}

const (
	// poolMark is what the file of a pool begins with.
	poolMark = "heapwrit"
	// maxMapped bounds the mapped files that are looked at.
	maxMapped = 256
)

// poolFiles returns the files of pools that a process had mapped. Cores of Linux
// leave out what processes share.
func poolFiles(mapped []heap.Mapping) (pools []string) {
	var seen []string
	for _, m := range mapped {
		if slices.Contains(seen, m.File) || len(seen) >= maxMapped {
			continue
		}
		seen = append(seen, m.File)
		if isPoolFile(m.File) {
			pools = append(pools, m.File)
		}
	}
	return pools
}

// isPoolFile reads no more than the mark, of files that have a length: the others
// are devices, pipes and what the kernel makes up.
func isPoolFile(path string) bool {
	if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() || st.Size() < int64(len(poolMark)) {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var mark [len(poolMark)]byte
	_, err = io.ReadFull(f, mark[:])
	return err == nil && string(mark[:]) == poolMark
}
