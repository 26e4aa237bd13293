package main

import (
	"cmp"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image/layout"
	"github.com/heapwright/heapwright/report"
)

func newMap() *cobra.Command {
	var in input
	out := output{more: []string{"svg"}}
	var by string
	cmd := &cobra.Command{
		Use:   "map DUMP",
		Short: "Draw how the heap in a dump is used, and how fragmented it is",
		Long: `Draw the heap in a dump: its memory in cells, each with the letter of the call
site (or the owner) that has the most of it, what is free, and where something
is damaged; who has the most bytes; how fragmented the free memory is; and how
many used and free nodes there are of which length, headers included.

A capital letter has at least half of the cell, a small one less. Used bytes are
the device's own total: nodes with their headers, and the pool's head.

The formats svg and json have cells of their own; in the picture, what a cell
holds is shown where the mouse points.

Exit codes: 0 drawn, 2 wrong usage or unreadable input, 3 drawn, but the heap is
damaged: heapwright memcheck says what; 4 drawn, but not all could be read.`,
		Example: `  heapwright map ram.bin --symbols firmware.elf
  heapwright map ram.bin --by owner
  heapwright map ram.bin --symbols firmware.elf --format svg -o heap.svg
  heapwright map ram.bin --symbols firmware.elf --top 5 --verbose
  heapwright map ram.bin --base 0x80000000 --config device.config
  heapwright map core.elf --pool 0x802d79e0 --layout liteos
  heapwright map ram.bin --format json -o map.json`,
		Args: args(1, 1, "one DUMP, or - for standard input"),
		RunE: func(cmd *cobra.Command, sources []string) error {
			if err := in.check(cmd, sources); err != nil {
				return err
			}
			if err := out.check(cmd, &in, sources); err != nil {
				return err
			}
			if by != string(report.BySite) && by != string(report.ByOwner) {
				return usageError(cmd, fmt.Errorf("--by is site or owner, not %q", by))
			}
			return drawMap(cmd, &in, &out, report.MapBy(by), sources[0])
		},
	}
	in.flags(cmd)
	out.flags(cmd, "call sites or owners")
	cmd.Flags().StringVar(&by, "by", string(report.BySite), "tell used nodes apart by `WHAT`: site, their call chain, or owner, their task or module")
	return cmd
}

// mapWriters are the formats of maps, and how many cells they have.
var mapWriters = map[string]struct {
	write func(io.Writer, []*report.Map, []string, report.Options) error
	cells func(report.Options) int
}{
	"text": {report.MapText, report.MapCells},
	"svg":  {report.MapSVG, func(report.Options) int { return report.SVGMapCells }},
	"json": {report.MapJSON, func(report.Options) int { return jsonMapCells }},
}

// jsonMapCells is how many cells a map as JSON has.
const jsonMapCells = 1024

func drawMap(cmd *cobra.Command, in *input, out *output, by report.MapBy, source string) error {
	sym, err := in.symbolizer()
	if err != nil {
		return err
	}
	d, err := in.openDump(cmd, source)
	if err != nil {
		return err
	}
	defer d.close()
	in.sayAbout(d)
	damaged, partial := false, false
	err = out.write(cmd, func(w io.Writer, o report.Options) error {
		format := mapWriters[out.format]
		var maps []*report.Map
		var stacks stackSample
		err := d.do(func() error {
			for _, p := range d.pools {
				m := mapPool(p, by, format.cells(o), sym, &stacks)
				damaged = damaged || m.Findings > 0
				partial = partial || m.Partial != "" || d.lacks(p.About().Span) > 0
				maps = append(maps, m)
			}
			return nil
		})
		if err != nil {
			return err
		}
		d.progress.stop()
		if by == report.BySite {
			in.checkSymbols(cmd, out, sym, stacks)
		}
		return format.write(w, maps, in.remarks(), o)
	})
	switch {
	case err != nil:
	case damaged:
		err = exitError{code: exitCorruption}
	case partial:
		err = errInconclusive
	}
	return cmp.Or(err, d.ctx.Err())
}

func mapPool(p layout.Pool, by report.MapBy, cells int, sym heap.Symbolizer, stacks *stackSample) *report.Map {
	m := report.NewMapper(p.About(), by, cells, report.FreeTail(p), sym)
	survey := p.Walk(func(n *heap.Node) bool {
		stacks.add(n)
		return m.Node(n)
	}, m.Finding)
	return m.Map(&survey)
}

// stackSample is the call stacks of some used nodes, enough to see whether
// symbols belong to them.
type stackSample []heap.Stack

// maxStackSample bounds a sample.
const maxStackSample = 1 << 12

func (s *stackSample) add(n *heap.Node) {
	if len(*s) < maxStackSample && n.State == heap.Used && len(n.Stack) > 0 {
		*s = append(*s, append(heap.Stack(nil), n.Stack...))
	}
}
