package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/report"
)

func newDiff() *cobra.Command {
	var in input
	var out output
	var between window
	cmd := &cobra.Command{
		Use:   "diff SOURCE [SOURCE]",
		Short: "Show which nodes came and went between two listings or dumps",
		Long: `Show which nodes appeared and disappeared between two listings, by call chain:
the first and the last complete listing of one console log, or the last complete
listing of each of two. A RAM dump counts as a log with one listing.

A node that was freed and allocated again at the same address by the same call
chain counts as one that stayed.

--from and --to choose a listing by its number, or as the one that follows the
first line with a text in it, which may be a mark that you had the device print.

Exit codes: 0 compared, 2 wrong usage or unreadable input, 3 compared, but a
heap is damaged, or the device reported that or a wild pointer, 4 fewer than two
complete listings.`,
		Example: `  heapwright diff console.log --symbols firmware.elf
  heapwright diff console.log --from 2 --to 5
  heapwright diff console.log --from "wifi connected" --to "wifi lost"
  heapwright diff before.bin after.bin --base 0x80000000 --config .config
  heapwright diff before.core after.core --layout liteos --pool 0x800578c0
  heapwright diff before.log after.log --symbols firmware.nm.txt --top 5
  heapwright diff console.log --symbols firmware.elf --verbose
  heapwright diff - --format json -o diff.json < console.log`,
		Args: args(1, 2, "one SOURCE or two, logs or dumps"),
		RunE: func(cmd *cobra.Command, logs []string) error {
			if err := in.check(cmd, logs); err != nil {
				return err
			}
			if err := out.check(cmd, &in, logs); err != nil {
				return err
			}
			if err := between.check(cmd); err != nil {
				return err
			}
			if len(logs) == 2 && !between.open() {
				return usageError(cmd, errors.New("--from and --to choose listings of one log; of two sources the last ones are compared"))
			}
			return diff(cmd, &in, &out, &between, logs)
		},
	}
	in.flags(cmd)
	out.flags(cmd, "call sites")
	between.flags(cmd, "first complete one", "last complete one")
	return cmd
}

func diff(cmd *cobra.Command, in *input, out *output, between *window, logs []string) error {
	sym, err := in.symbolizer()
	if err != nil {
		return err
	}
	from, to, err := pair(cmd, in, between, logs)
	if err != nil {
		return err
	}
	d := leak.Compare(from, to, sym)
	in.checkSymbols(cmd, out, sym, changeStacks(d))
	in.sayReports(cmd, out)
	err = out.write(cmd, func(w io.Writer, o report.Options) error {
		if out.json() {
			return report.DiffJSON(w, d, in.remarks(), o)
		}
		return report.DiffText(w, d, in.remarks(), o)
	})
	switch {
	case err != nil:
		return err
	case in.damaged() != nil:
		return in.damaged()
	case d.Partial():
		return errInconclusive
	}
	return nil
}

func changeStacks(d *leak.Diff) []heap.Stack {
	stacks := make([]heap.Stack, len(d.Changes))
	for i := range d.Changes {
		stacks[i] = d.Changes[i].Stack
	}
	return stacks
}

// pair chooses the two listings to compare.
func pair(cmd *cobra.Command, in *input, between *window, logs []string) (from, to leak.Listing, err error) {
	if len(logs) == 2 {
		var last [2]leak.Listing
		for i, log := range logs {
			in.count = 0
			e, _, err := ends(cmd, in, &window{}, log)
			if err != nil {
				return nil, nil, err
			}
			last[i] = e.last()
		}
		return last[0], last[1], nil
	}
	in.marks = between.marks()
	e, n, err := ends(cmd, in, between, logs[0])
	if err != nil {
		return nil, nil, err
	}
	if err := between.within(n); err != nil {
		return nil, nil, err
	}
	from, to = e.first(), e.last()
	if between.from.number > 0 {
		from = e.any[0]
	}
	if between.to.number > 0 {
		to = e.any[1]
	}
	if from[0] == to[0] && n > 1 {
		return nil, nil, exitError{exitInconclusive, fmt.Errorf("%s, and one listing has nothing to be compared with: %s: choose two of them", between.only(from[0].Label), holding(n))}
	}
	if from[0] == to[0] && in.lastDump != "" {
		return nil, nil, exitError{exitInconclusive, fmt.Errorf(
			"%s: one dump has nothing to be compared with\nlet the device run, dump its memory again, and give that too:\n  heapwright diff %[1]s LATER_DUMP", logs[0])}
	}
	if from[0] == to[0] {
		return nil, nil, exitError{exitInconclusive, fmt.Errorf(
			"%s: one listing has nothing to be compared with: %s\nlet the device run, type memused again, and give that log too:\n  heapwright diff %s LATER_LOG", logs[0], holding(n), logs[0])}
	}
	return from, to, nil
}

// span holds the outermost listings seen: any, and complete ones.
type span struct {
	any, complete [2]leak.Listing
}

// first returns the first complete listing if there are two, else the first.
func (s *span) first() leak.Listing {
	if s.complete[0] != nil && s.complete[0][0] != s.complete[1][0] {
		return s.complete[0]
	}
	return s.any[0]
}

func (s *span) last() leak.Listing {
	if s.complete[1] != nil && (s.complete[0][0] != s.complete[1][0] || s.any[0][0] == s.any[1][0]) {
		return s.complete[1]
	}
	return s.any[1]
}

// ends reads a log and returns its outermost listings inside the window, and
// how many listings it holds.
func ends(cmd *cobra.Command, in *input, between *window, log string) (e span, n int, err error) {
	keep := func(p *[2]leak.Listing, l leak.Listing) {
		if p[0] == nil {
			p[0] = l
		}
		p[1] = l
	}
	for l, err := range in.listings(cmd, log) {
		if err != nil {
			return e, n, err
		}
		if n++; between.place(l, n) != 0 {
			continue
		}
		keep(&e.any, l)
		if !l.Partial() {
			keep(&e.complete, l)
		}
	}
	return e, n, nil
}
