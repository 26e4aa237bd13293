package report

import (
	"bufio"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// Collapsed writes what is in use in the last compared listing of each pool as
// collapsed stacks, which flame graphs are made of: a line for each call chain,
// the outermost function first, and behind it the bytes that it holds if all
// sizes are known, else the nodes. Inlined functions end in _[i], the name of a
// pool is the outermost level. The order is that of the names.
func Collapsed(w io.Writer, d *Document, _ Options) error {
	b := bufio.NewWriter(w)
	if d.Growth != nil {
		v := newView(d.Growth)
		lines := map[string]uint64{}
		sized := !slices.ContainsFunc(v.Sites, func(s leak.Site) bool { return !s.Sized })
		for i := range v.Sites {
			s := &v.Sites[i]
			_, last := v.ends(s)
			n := uint64(last.Nodes)
			if sized {
				n = last.Bytes
			}
			if n > 0 {
				lines[collapse(s.Pool, s.Frames)] += n
			}
		}
		for _, line := range slices.Sorted(maps.Keys(lines)) {
			b.WriteString(line + " " + strconv.FormatUint(lines[line], 10) + "\n")
		}
	}
	return b.Flush()
}

// collapse returns a call chain with its outermost function first.
func collapse(pool string, frames []heap.Frame) string {
	var levels []string
	if pool != "" {
		levels = append(levels, level(pool))
	}
	for _, f := range slices.Backward(frames) {
		name := level(function(f))
		if f.Inlined {
			name += "_[i]"
		}
		levels = append(levels, name)
	}
	if len(frames) == 0 {
		levels = append(levels, "(no call stack)")
	}
	return strings.Join(levels, ";")
}

// level is a name in which nothing separates levels.
func level(name string) string { return strings.ReplaceAll(plain.Clean(name), ";", ":") }
