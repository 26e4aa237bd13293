// Package demo is a small program on a pool, a cache with a leak and a buffer
// overflow in it, and a tour that finds both with the console.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/shell"
	"github.com/heapwright/heapwright/symbol"
)

// Config says what the demo does.
type Config struct {
	Ops      int           // operations of the workload; 0: by Duration
	Duration time.Duration // how long the workload runs
	Seed     uint64        // of the workload: the same operations for the same seed
	Bugs     Bugs
	// Pool says which features the pool has; nil: those that the tour shows.
	Pool *heapwright.Config

	Out      io.Writer // the tour
	Progress io.Writer // a terminal for a line about progress; may be nil
	Width    int       // columns that the tour should fit into; 0: 80
}

// Demo is the program. It must not be used from several goroutines at a time.
type Demo struct {
	cfg   Config
	pool  *heapwright.Pool
	shell *shell.Shell
	cache *Cache
	work  *workload
	out   *printer
	found []heap.Finding // by the pool, while it was used

	features heapwright.Config
}

// Features are those that the pool has unless told otherwise.
func Features() heapwright.Config {
	return heapwright.Config{
		Name:       "demo",
		MaxSize:    256 << 20,
		LeakCheck:  true,
		RecordLR:   2, // who wanted the memory, and who called them
		HeadBackup: true,
	}
}

// New sets the program up. Close gives back what it holds.
func New(cfg Config) (*Demo, error) {
	if cfg.Ops <= 0 && cfg.Duration <= 0 {
		return nil, errors.New("demo: neither operations nor a duration")
	}
	if cfg.Width <= 0 {
		cfg.Width = 80
	}
	d := &Demo{cfg: cfg, out: &printer{w: cfg.Out, width: cfg.Width}}
	features := Features()
	if cfg.Pool != nil {
		features = *cfg.Pool
	}
	d.features = features
	features.OnFinding = func(f heap.Finding) {
		d.found = append(d.found, f)
		shell.WriteFinding(d.out, &f, symbol.Process, nil)
	}
	pool, err := heapwright.New(features)
	if err != nil {
		return nil, err
	}
	d.pool = pool
	d.shell = shell.New(shell.Config{Pool: pool, Width: cfg.Width})
	d.cache = NewCache(pool, entries, cfg.Bugs)
	d.work = newWorkload(d.cache, cfg.Seed)
	return d, nil
}

// Shell returns the console on the program's pool.
func (d *Demo) Shell() *shell.Shell { return d.shell }

// Close ends the program. What it leaked goes with its pool.
func (d *Demo) Close() error {
	if err := d.pool.Close(); err != nil && !errors.Is(err, heapwright.ErrStillUsed) {
		return err
	}
	return nil
}

// Run gives the tour. When ctx is done it goes on with what there is by then.
func (d *Demo) Run(ctx context.Context) error {
	if err := d.leakTour(ctx); err != nil {
		return err
	}
	switch {
	case !d.cfg.Bugs.Overflow:
	case !d.features.HeadBackup:
		d.out.say("The cache does not overflow a buffer now: without LOSCFG_MEM_HEAD_BACKUP the header that it destroys could not be restored.")
	default:
		if err := d.overflowTour(); err != nil {
			return err
		}
	}
	return d.out.err
}

// leakTour marks the pool when the cache is full, works on, and looks at what
// has changed.
func (d *Demo) leakTour(ctx context.Context) error {
	d.out.say("A cache of %d entries keeps its keys and values in a pool %s. Growth means nothing while it fills up; then, a mark:", entries, d.with())
	p := &progress{w: d.cfg.Progress}
	tick := func() {
		p.show("%d operations, %d entries, %d used nodes", d.work.ops, d.cache.Len(), d.pool.Stats().UsedNodes)
	}
	whole := span{ops: d.cfg.Ops}
	if d.cfg.Ops <= 0 {
		whole = span{time: d.cfg.Duration}
	}
	first := span{whole.ops / 3, whole.time / 3}
	err := d.work.run(ctx, first, tick)
	p.clear()
	if err != nil {
		return err
	}
	full := d.cache.Len()
	before, err := d.pool.Snapshot()
	if err != nil {
		return err
	}
	if err := d.command("mark full"); err != nil {
		return err
	}

	from := d.work.ops
	err = d.work.run(ctx, span{whole.ops - first.ops, whole.time - first.time}, tick)
	p.clear()
	if err != nil {
		return err
	}
	filling := d.cache.Len() > full+full/20
	switch done := d.work.ops - from; {
	case ctx.Err() != nil:
		d.out.say("It was stopped early, %d operations later, with %d entries.", done, d.cache.Len())
	case filling:
		d.out.say("%d operations later it has %d entries instead of %d: it is still filling up.", done, d.cache.Len(), full)
	default:
		d.out.say("%d operations later it has %d entries, as before. Has the pool grown?", done, d.cache.Len())
	}
	now, err := d.pool.Snapshot()
	if err != nil {
		return err
	}
	if err := d.command("diff -n 1 full"); err != nil {
		return err
	}
	switch v := judge(before, now); {
	case !d.features.LeakCheck:
		d.out.say("=> Used nodes were %d and are %d. Who allocated them nobody has recorded: LOSCFG_MEM_LEAKCHECK is off.", len(before.Nodes), len(now.Nodes))
	case filling, d.work.ops-from < entries: // Ctrl-C has come early
		d.out.say("=> Too early to tell a leak from a cache that fills up. Let it run for longer.")
	case !v.grew:
		d.out.say("=> No call stack grew by more than the cache's own coming and going: nothing leaks.")
	default:
		d.out.say("=> %s leaks what it allocates at %s: %d nodes, %.0f%% of all growth.",
			v.frame.Function, place(v.frame), v.growth, 100*v.share)
	}
	return nil
}

// with names the features of the pool.
func (d *Demo) with() string {
	switch f := &d.features; {
	case f.LeakCheck && f.HeadBackup:
		return "with leak check and head backup"
	case f.LeakCheck:
		return "with leak check"
	case f.HeadBackup:
		return "with head backup"
	}
	return "with all debugging off"
}

// verdict is what the difference of two snapshots says about a leak.
type verdict struct {
	grew   bool
	frame  heap.Frame // who allocated most of what is more
	growth int        // nodes
	share  float64    // of the growth of all call stacks that grew
}

// judge calls it growth if a call stack gained more nodes than a twentieth of
// what the pool held: a cache that is full changes by less.
func judge(before, now *heap.Snapshot) verdict {
	d := leak.Compare(leak.Listing{before}, leak.Listing{now}, symbol.Process)
	all := 0
	for i := range d.Changes {
		all += max(0, growth(&d.Changes[i]))
	}
	if all == 0 {
		return verdict{}
	}
	top := &d.Changes[0] // they come in this order
	v := verdict{growth: growth(top), share: float64(growth(top)) / float64(all)}
	v.grew = v.growth > len(before.Nodes)/20
	if len(top.Frames) > 0 {
		v.frame = shell.Short(top.Frames[0])
	}
	return v
}

func growth(c *leak.Change) int { return len(c.New) - len(c.Gone) }

// overflowTour appends to a value, and goes on using the cache until the pool
// notices what that has done.
func (d *Demo) overflowTour() error {
	if err := d.overflow(); err != nil {
		return err
	}
	d.out.say("Now the cache appends to a value and pads it. Go checks the bounds of slices, but not of one that unsafe.Slice made too long. Nothing crashes:")
	if err := d.command("memcheck -s"); err != nil {
		return err
	}
	d.out.say("The program goes on. When it frees the damaged node, the pool notices, restores the header from its backup, and says who did it:")
	d.out.print("\n")
	d.found = nil
	if err := d.cache.Delete(victim); err != nil {
		return err
	}
	d.out.print("\n")
	if err := d.command("memcheck"); err != nil {
		return err
	}
	if len(d.found) == 0 {
		d.out.say("=> Nothing was overwritten.")
		return nil
	}
	f := &d.found[0]
	if f.Culprit == nil || len(f.Culprit.Stack) == 0 {
		d.out.say("=> Something was overwritten; by whom cannot be told.")
		return nil
	}
	by := shell.Short(symbol.Process.Frames(f.Culprit.Stack[0])[0])
	d.out.say("=> Whoever used the damaged node is innocent: %s, which had asked for %d bytes at %s, wrote beyond them.",
		by.Function, f.Culprit.Size, place(by))
	return nil
}

// victim is the key whose value lies behind the buffer that overflows.
const victim = "profile:2"

// overflow appends to a value in a buffer that lies between others.
func (d *Demo) overflow() error {
	profile := make([]byte, 184)
	for _, key := range []string{"profile:1", victim} {
		if err := d.cache.Set(key, profile); err != nil {
			return err
		}
	}
	if err := d.cache.Set("log", profile[:100]); err != nil {
		return err
	}
	if err := d.cache.Delete("profile:1"); err != nil {
		return err
	}
	// 184 bytes now, which take the place of the profile's; padded to whole
	// lines 72 too many.
	return d.cache.Append("log", profile[:84])
}

// place is where a frame is.
func place(f heap.Frame) string { return fmt.Sprintf("%s:%d", path.Clean(f.File), f.Line) }

// command shows a command and the console's answer.
func (d *Demo) command(line string) error {
	d.out.print("%s%s\n", shell.DefaultPrompt, line)
	if err := d.shell.Exec(line, d.out); err != nil {
		return err
	}
	return d.out.err
}

// printer writes the tour and keeps the first error.
type printer struct {
	w     io.Writer
	width int
	any   bool // something is written
	err   error
}

func (p *printer) Write(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.w.Write(b)
	p.any, p.err = true, err
	return n, err
}

func (p *printer) print(format string, args ...any) { fmt.Fprintf(p, format, args...) }

// say writes a paragraph, with an empty line in front of all but the first.
func (p *printer) say(format string, args ...any) {
	if p.any {
		p.print("\n")
	}
	column := 0
	for i, word := range strings.Fields(fmt.Sprintf(format, args...)) {
		switch {
		case i == 0:
		case column+1+len(word) > p.width:
			p.print("\n")
			column = 0
		default:
			p.print(" ")
			column++
		}
		p.print("%s", word)
		column += len(word)
	}
	p.print("\n")
}
