package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/report"
)

// leaks is the verb's choice of what to judge, and how.
type leaks struct {
	in       input
	out      output
	between  window
	gate     gate
	wrappers []string
	interval time.Duration
	// unaligned looks for pointers at every byte offset.
	unaligned bool
}

func newLeaks() *cobra.Command {
	v := leaks{out: output{more: []string{"pprof", "collapsed", "sarif", "junit", "github"}}}
	cmd := &cobra.Command{
		Use:   "leaks SOURCE...",
		Short: "Show which call sites leak, and why they are believed to",
		Long: `Show which call sites leak, over all memused listings in console logs and all
RAM dumps, with a verdict and its reason for each. Several sources are one
series in the order given; a dump counts as a listing.

A site is CONFIRMED when new nodes keep coming and old ones never go: a cache
grows too, but its nodes are replaced, or it stops. That takes four listings;
ten tell more. A cache that fills slower than you look at it passes for a leak:
look three times as long as its memory may live, or declare it (see below).
A listing marked with * is partial: cut off or damaged. It is not compared.

Of a dump of the whole RAM, or a core, leaks also shows what no pointer leads to
any more; of several dumps, in the last one. A site that grows and whose nodes
are unreferenced is CONFIRMED. Unreferenced nodes alone make a SUSPECT, and are
CONFIRMED if five of a site are, --symbols says where the program's variables
lie, all of them are in the dump, and --unaligned has found no pointer at an odd
address either; where variables are missing they prove nothing. Of what grows
and is still referenced, leaks shows what holds it.

In continuous integration, --baseline names the leaks that are known, so that
new ones alone fail. It lists functions, not lines; --write-baseline writes what
leaks now, unless the listings cannot tell, or functions have no names or wrong
ones. --suppressions names a file of lines that accept leaks and declare caches:

  leak:at_parse <- modem_*  max_nodes=40 expires=2026-12-31  # mended in 4.2
  leak:vendor_tls_*         max_bytes=4K
  cache:dns_remember        max=64

A line is for all call chains that hold its functions side by side, at whatever
level, the inner one first (<- is "called by"); a single one fits any function
of the chain. Names are whole names, in which * is any text.

The formats sarif, junit and github name source files relative to
$GITHUB_WORKSPACE or the working directory; --strip-prefix names the directory
of a build made elsewhere. Of a profile, the leaks alone are shown by
go tool pprof -tagfocus=CONFIRMED heap.pb.gz

Exit codes: 0 no leak is confirmed, 1 leak confirmed (see --fail-on), 2 wrong
usage or unreadable input, 3 none, but the device reported a damaged heap or a
wild pointer, 4 inconclusive: the listings cannot tell what growth means.
--fail-on none and --write-baseline change 1 to 0, and nothing else.`,
		Example: `  heapwright leaks console.log --symbols firmware.elf
  heapwright leaks monday.log tuesday.log --symbols firmware.nm.txt --top 5
  heapwright leaks console.log --symbols firmware.elf --verbose
  heapwright leaks - --format json -o leaks.json < console.log
  heapwright leaks console.log --symbols fw.elf --format pprof -o heap.pb.gz
  heapwright leaks console.log --symbols fw.elf --format collapsed > heap.txt
  heapwright leaks console.log --symbols fw.elf --format sarif -o leaks.sarif \
      --strip-prefix /home/builder/firmware
  heapwright leaks console.log --symbols fw.elf --format junit -o leaks.xml
  heapwright leaks console.log --symbols fw.elf --format github

  heapwright leaks 1.bin 2.bin 3.bin 4.bin --base 0x80000000 --config .config
  heapwright leaks *.core --symbols fw.elf --layout liteos --pool 0x800578c0
  heapwright leaks ram.bin --symbols firmware.elf --unaligned

  heapwright leaks console.log --from 3 --to 8
  heapwright leaks console.log --from "soak test begins" --to "soak test ends"
  heapwright leaks console.log --wrapper app_malloc --wrapper "*_alloc"
  heapwright leaks console.log --interval 10m

  heapwright leaks soak.log --symbols firmware.elf --write-baseline known.json
  heapwright leaks soak.log --symbols firmware.elf --baseline known.json
  heapwright leaks soak.log --suppressions leaks.supp --fail-on suspect
  heapwright leaks soak.log --fail-on none`,
		Args: args(1, 0, "at least one SOURCE, a log or dump, or - for standard input"),
		RunE: func(cmd *cobra.Command, logs []string) error {
			if err := v.check(cmd, logs); err != nil {
				return err
			}
			return v.run(cmd, logs)
		},
	}
	v.in.flags(cmd)
	v.out.flags(cmd, "call sites")
	v.out.sourceFlags(cmd)
	v.between.flags(cmd, "first", "last")
	v.gate.flags(cmd)
	cmd.Flags().StringArrayVar(&v.wrappers, "wrapper", nil, "`PATTERN` of functions that only pass allocations on, as malloc does; repeatable")
	cmd.Flags().DurationVar(&v.interval, "interval", 0, "`TIME` between two listings, for rates, where the log does not tell it")
	cmd.Flags().BoolVar(&v.unaligned, "unaligned", false, "look for pointers in a dump at every byte offset, so that none is hidden: slower")
	return cmd
}

func (v *leaks) check(cmd *cobra.Command, logs []string) error {
	if err := v.in.check(cmd, logs); err != nil {
		return err
	}
	if err := v.out.check(cmd, &v.in, logs); err != nil {
		return err
	}
	if err := v.between.check(cmd); err != nil {
		return err
	}
	for _, p := range v.wrappers {
		if err := leak.CheckWrapper(p); err != nil {
			return usageError(cmd, fmt.Errorf("--wrapper: %w", err))
		}
	}
	if cmd.Flags().Changed("interval") && v.interval <= 0 {
		return usageError(cmd, fmt.Errorf("--interval is the time between two listings, such as 30s or 10m, not %s", v.interval))
	}
	return v.gate.check(cmd, &v.in, &v.out, logs)
}

func (v *leaks) run(cmd *cobra.Command, logs []string) error {
	sym, err := v.in.symbolizer()
	if err != nil {
		return err
	}
	v.in.names = sym
	all := v.between.open()
	v.in.marks = v.between.marks()
	series := leak.NewSeries(sym, leak.Options{Wrappers: v.wrappers, Interval: v.interval})
	number, last := 0, lastComplete{}
	v.in.keep = true
	defer v.in.drop()
	newest := "" // source of the last listing inside the window
	for l, err := range v.in.listings(cmd, logs...) {
		if err != nil {
			return v.findingsOnly(cmd, sym, err)
		}
		number++
		switch v.between.place(l, number) {
		case -1:
			series.Skip()
		case 0:
			series.Add(l)
			newest = l[0].Source
			if v.out.format == "pprof" {
				last.add(l)
			}
		}
	}
	if err := v.between.within(number); err != nil {
		return err
	}
	if v.in.restarts > 0 && all {
		v.in.notes = append(v.in.notes, "to compare the listings of one run only, choose them with --from and --to")
	}
	growth := series.Growth()
	if err := v.unreferenced(cmd, logs, newest, growth, sym); err != nil {
		return err
	}
	v.in.checkSymbols(cmd, &v.out, sym, siteStacks(growth))
	v.gate.apply(cmd, &v.in, &v.out, growth)
	v.out.checkStrip(cmd, &v.in, growthFrames(growth))
	findings := v.in.findings
	if v.showsFindings() {
		v.in.sayLeftOut()
	} else {
		findings = nil
		v.in.sayReports(cmd, &v.out)
	}
	err = v.out.document(cmd, &report.Document{
		FailOn: leastFailing[v.gate.failOn], Baseline: v.gate.known != nil,
		Growth: growth, Findings: findings, Symbols: sym, Warnings: v.in.warnings, Notes: v.in.notes, Listing: last.listing(), Mappings: mappings(sym),
	})
	if err != nil {
		return err
	}
	return v.gate.decide(cmd, &v.in, growth)
}

// showsFindings reports whether the format has a place for what the device
// reported about its heap; text has a verb of its own for it.
func (v *leaks) showsFindings() bool {
	switch v.out.format {
	case "json", "sarif", "junit", "github":
		return true
	}
	return false
}

// findingsOnly writes what the device reported about its heap where there is no
// listing, but a format that has a place for it. It returns err.
func (v *leaks) findingsOnly(cmd *cobra.Command, sym heap.Symbolizer, err error) error {
	var code exitError
	if len(v.in.findings) == 0 || !v.showsFindings() || !errors.As(err, &code) || code.code != exitCorruption {
		return err
	}
	why, _, _ := strings.Cut(err.Error(), "\n")
	v.in.warnings = append(v.in.warnings, why)
	v.in.sayLeftOut()
	return errors.Join(v.out.document(cmd, &report.Document{
		Findings: v.in.findings, Symbols: sym, Warnings: v.in.warnings, Notes: v.in.notes,
	}), err)
}

// growthFrames returns the frames of all call sites.
func growthFrames(g *leak.Growth) (frames []heap.Frame) {
	for i := range g.Sites {
		frames = append(frames, g.Sites[i].Frames...)
	}
	return frames
}
