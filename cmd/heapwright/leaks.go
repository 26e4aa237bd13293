package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/report"
)

func newLeaks() *cobra.Command {
	var in input
	var out output
	var between window
	cmd := &cobra.Command{
		Use:   "leaks LOG...",
		Short: "Show which call sites hold more and more memory",
		Long: `Show which call sites hold more and more memory, over all memused listings in
the logs. Several logs are one series in the order given. Growth is the number
of nodes in the last complete listing minus that in the first.

A listing marked with * is partial: cut off or damaged. It is not compared.

Exit codes: 0 compared (growth alone confirms no leak), 2 wrong usage or
unreadable input,
4 fewer than two complete listings.`,
		Example: `  heapwright leaks console.log --symbols firmware.elf
  heapwright leaks monday.log tuesday.log --symbols firmware.nm.txt --top 5
  heapwright leaks console.log --from 3 --to 8
  heapwright leaks - --format json -o leaks.json < console.log`,
		Args: args(1, 0, "at least one LOG, or - for standard input"),
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
			return leaks(cmd, &in, &out, between, logs)
		},
	}
	in.flags(cmd)
	out.flags(cmd, "call sites")
	between.flags(cmd, "first", "last")
	return cmd
}

func leaks(cmd *cobra.Command, in *input, out *output, between window, logs []string) error {
	sym, err := in.symbolizer()
	if err != nil {
		return err
	}
	series := leak.NewSeries(sym, leak.Options{})
	number := 0
	for l, err := range in.listings(cmd, logs...) {
		if err != nil {
			return err
		}
		switch number++; {
		case number < between.from:
			series.Skip()
		case between.holds(number):
			series.Add(l)
		}
	}
	if err := between.within(number); err != nil {
		return err
	}
	if in.restarts > 0 && between == (window{}) {
		in.notes = append(in.notes, "to compare the listings of one run only, give their numbers with --from and --to")
	}
	growth := series.Growth()
	in.checkSymbols(cmd, out, sym, siteStacks(growth))
	err = out.write(cmd, func(w io.Writer, o report.Options) error {
		if out.json() {
			return report.GrowthJSON(w, growth, in.notes, o)
		}
		return report.GrowthText(w, growth, in.notes, o)
	})
	if err == nil && !growth.Conclusive() {
		return errInconclusive
	}
	return err
}

// window is a range of listings, counted from 1; 0 is open.
type window struct{ from, to int }

func (w *window) flags(cmd *cobra.Command, from, to string) {
	cmd.Flags().IntVar(&w.from, "from", 0, "`N` of the first listing compared (default: the "+from+")")
	cmd.Flags().IntVar(&w.to, "to", 0, "`N` of the last listing compared (default: the "+to+")")
}

func (w window) check(cmd *cobra.Command) error {
	for name, n := range map[string]int{"from": w.from, "to": w.to} {
		if cmd.Flags().Changed(name) && n < 1 {
			return usageError(cmd, fmt.Errorf("--%s is the number of a listing, counted from 1, not %d", name, n))
		}
	}
	if w.to > 0 && w.from > w.to {
		return usageError(cmd, fmt.Errorf("--from %d is behind --to %d", w.from, w.to))
	}
	return nil
}

func (w window) holds(n int) bool { return n >= w.from && (w.to == 0 || n <= w.to) }

// within reports an error if the log's listings do not reach that far.
func (w window) within(listings int) error {
	if n := max(w.from, w.to); n > listings {
		return fmt.Errorf("there is no listing %d: %s", n, holding(listings))
	}
	return nil
}

func holding(listings int) string {
	if listings == 1 {
		return "the log holds one listing"
	}
	return fmt.Sprintf("the log holds %d listings", listings)
}
