package shell

import (
	"fmt"
	"strings"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/internal/plain"
)

func (c *call) free() error {
	if c.pool == nil {
		return errNoPool
	}
	unit := uint64(1)
	switch {
	case c.flags.has('k') && c.flags.has('m'):
		return fmt.Errorf("-k and -m exclude each other")
	case c.flags.has('k'):
		unit = 1 << 10
	case c.flags.has('m'):
		unit = 1 << 20
	}
	st := c.pool.Stats()
	if st.Size == 0 {
		return heapwright.ErrClosed
	}
	c.printf("\n        total        used          free\n")
	c.printf("Mem:    %-9d    %-10d    %-10d\n", st.Size/unit, st.Used/unit, st.Free/unit)
	if p, err := program(); err == nil {
		c.printf("\n        text         data          rodata        bss\n")
		c.printf("Mem:    %-9d    %-10d    %-10d    %-10d\n", p.text/unit, p.data/unit, p.rodata/unit, p.bss/unit)
	}
	return nil
}

func (c *call) memstat() error {
	if c.pool == nil {
		return errNoPool
	}
	st := c.pool.Stats()
	if st.Size == 0 {
		return heapwright.ErrClosed
	}
	c.liteosTotals(st)

	overhead := st.Used - st.Payload - st.Quarantined
	c.printf("\n")
	c.printf("payload        %12d  asked for in %s\n", st.Payload, plain.Plural(int(st.UsedNodes), "used node"))
	c.printf("overhead       %12d  headers, padding, the pool's own: %.1f%% of used\n", overhead, 100*float64(overhead)/float64(max(1, st.Used)))
	c.printf("quarantined    %12d  withdrawn after damage\n", st.Quarantined)
	c.printf("fragmentation  %11.1f%%  of free memory is not in the largest free node\n", 100*st.Fragmentation())
	c.printf("may grow to    %12d\n", st.MaxSize)

	owners := c.pool.Owners()
	if len(owners) == 0 {
		return nil
	}
	c.printf("\n%12s  %8s  %12s  owner\n", "used", "nodes", "highest")
	for _, o := range owners {
		name := plain.Clean(o.Name)
		switch {
		case name == "" && o.Owner == 0:
			name = "(nobody)"
		case name == "":
			name = fmt.Sprint(o.Owner)
		}
		c.printf("%12d  %8d  %12d  %s\n", o.Used, o.Nodes, o.Waterline, name)
	}
	return nil
}

// liteosTotals prints the table of LiteOS. Its columns are as ragged there.
func (c *call) liteosTotals(st heapwright.Stats) {
	row := []struct {
		title      string
		width, gap int
		value      string
	}{
		{"pool addr", 16, 3, c.pool.Addr().String()},
		{"pool size", 10, 3, hex(st.Size)},
		{"used size", 10, 4, hex(st.Used)},
		{"free size", 10, 3, hex(st.Free)},
		{"max free node size", 18, 3, hex(st.LargestFree)},
		{"used node num", 15, 4, hex(st.UsedNodes)},
		{"free node num", 15, 4, hex(st.FreeNodes)},
		{"UsageWaterLine", 15, 0, hex(st.Waterline)},
	}
	const title = "pool addr          pool size    used size     free size    max free node size   used node num     free node num      UsageWaterLine"
	if c.width > 0 && c.width < len(title) {
		for _, v := range row {
			c.printf("%-18s  %s\n", v.title, v.value)
		}
		return
	}
	c.printf("%s\n", title)
	c.printf("---------------    --------     -------       --------     --------------       -------------      ------------      ------------\n")
	for _, v := range row {
		c.printf("%-*s%*s", v.width, v.value, v.gap, "")
	}
	c.printf("\n")
}

func hex(v uint64) string { return fmt.Sprintf("0x%x", v) }

func (c *call) pools() error {
	if what := c.arg(); what != "" {
		p, err := c.find(what)
		if err != nil {
			return err
		}
		c.session.pool = p
		c.printf("pool %s, %s\n", plain.Clean(p.Name()), plain.Plural(int(p.Stats().UsedNodes), "used node"))
		return nil
	}
	all := c.Shell.pools()
	if len(all) == 0 {
		c.printf("no pool is open\n")
		return nil
	}
	c.printf("    #          size          used     nodes  debugging                  name\n")
	for _, n := range all {
		star := " "
		if n.pool == c.pool {
			star = "*"
		}
		st := n.pool.Stats()
		c.printf("%s %3s  %12d  %12d  %8d  %-25s  %s\n", star, fmt.Sprintf("#%d", n.number), st.Size, st.Used, st.UsedNodes, debugging(n.pool.Config()), plain.Clean(n.pool.Name()))
	}
	return nil
}

// debugging names the debugging features of a pool.
func debugging(cfg heapwright.Config) string {
	var on []string
	if cfg.LeakCheck {
		on = append(on, "leak")
	}
	if cfg.HeadBackup {
		on = append(on, "backup")
	}
	if cfg.IntegrityCheck {
		on = append(on, "integrity")
	}
	if on == nil {
		return "-"
	}
	return strings.Join(on, " ")
}

func (c *call) release() error {
	if c.pool == nil {
		return errNoPool
	}
	n, err := c.pool.ReleaseFree()
	if err != nil {
		return err
	}
	c.printf("%d bytes given back\n", n)
	return nil
}
