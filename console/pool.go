package console

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// Totals that LiteOS 5.0 prints. Sources: OsMemInfoPrint and LOS_MemPoolList of
// kernel/base/mem/bestfit/los_memory.c, shell/src/base/mem_shellcmd.c, and logs.
// All numbers of the first are hexadecimal, those of the second, by the shell
// command free with -k and -m for other units, decimal.
//
//	pool0 :
//	pool addr          pool size    used size     free size    max free node size   used node num     free node num      UsageWaterLine
//	---------------    --------     -------       --------     --------------       -------------      ------------      ------------
//	0x568c0            0xfa9740     0x5abf8       0xf4e85c     0xf4ca88             0x5c               0x15               0x5db6c
//
//	Huawei LiteOS # free
//
//	        total        used          free
//	Mem:    16422720     371576        16051144
//	Mem1:   20480        1200          19280        <- exception interaction memory
//
// free does not say its unit, so its numbers count only behind the command.

const (
	// maxTold bounds the pools whose totals are remembered.
	maxTold = 64
	// totalsReach is how many lines a head may be above its numbers, or a
	// command above its output.
	totalsReach = 4
)

// A told is what a log said about a pool.
type told struct {
	start, end heap.Addr // of the pool; both 0: known by name only
	name       string
	stats      heap.Stats
	line       int
}

// A poolTable reads and remembers totals.
type poolTable struct {
	left int // totals of pools beyond maxTold
	poolState
}

// poolState is what ends when the device restarts.
type poolState struct {
	pools []told

	infoLine int    // of the last head of pool information; 0: none
	water    bool   // it has a column UsageWaterLine
	unit     uint64 // that the last command free asked for
	freeLine int    // of that command; 0: none
	head     int    // line of the last head "total used free"; 0: none
}

// restart forgets what ends with a boot.
func (p *poolTable) restart() { p.poolState = poolState{} }

// info begins pool information if the line is the head of it.
func (p *poolTable) info(line []byte, number int) {
	if bytes.Contains(line, []byte("used node num")) {
		p.infoLine = number
		p.water = bytes.Contains(line, []byte("UsageWaterLine"))
	}
}

// command notes the shell command free.
func (p *poolTable) command(line []byte, number int) {
	p.freeLine = number
	switch i := bytes.LastIndex(line, []byte("# free")); string(bytes.TrimSpace(line[i+len("# free"):])) {
	case "":
		p.unit = 1
	case "-k":
		p.unit = 1 << 10
	case "-m":
		p.unit = 1 << 20
	default:
		p.freeLine = 0
	}
}

// line reads numbers where there can be some.
func (p *poolTable) line(line []byte, number int) {
	if p.infoLine > 0 {
		if p.infoRow(line, number) || number-p.infoLine >= totalsReach {
			p.infoLine = 0
		}
	}
	if p.freeLine == 0 {
		return
	}
	words := bytes.Fields(line)
	switch {
	case len(words) >= 3 && p.head == 0:
		if string(bytes.Join(words[len(words)-3:], []byte(" "))) == "total used free" {
			p.head = number
		}
	case p.head > 0 && len(words) >= 4:
		p.freeRow(words[len(words)-4:], number)
	}
	if number-max(p.freeLine, p.head) >= totalsReach {
		p.freeLine, p.head = 0, 0
	}
}

func (p *poolTable) infoRow(line []byte, number int) bool {
	columns := 7
	if p.water {
		columns = 8
	}
	words := bytes.Fields(line)
	if len(words) < columns {
		return false
	}
	words = words[len(words)-columns:]
	var v [8]uint64
	for i, w := range words {
		a, end := parseHex(w, 0)
		if end != len(w) || end == 0 {
			return false
		}
		v[i] = uint64(a)
	}
	p.put(told{
		start: heap.Addr(v[0]), end: heap.Addr(v[0] + v[1]), line: number,
		stats: heap.Stats{Size: v[1], Used: v[2], Free: v[3], LargestFree: v[4], UsedNodes: v[5], FreeNodes: v[6], Waterline: v[7]},
	})
	return true
}

func (p *poolTable) freeRow(words [][]byte, number int) {
	t := told{line: number}
	switch string(words[0]) {
	case "Mem:":
	case "Mem1:":
		t.name = liteosExcPool
	default:
		return
	}
	var v [3]uint64
	for i := range v {
		n, err := strconv.ParseUint(string(words[i+1]), 10, 32)
		if err != nil {
			return
		}
		v[i] = n * p.unit
	}
	t.stats = heap.Stats{Size: v[0], Used: v[1], Free: v[2]}
	p.put(t)
}

// put remembers what was told last about each pool.
func (p *poolTable) put(t told) {
	for i, o := range p.pools {
		if o.start == t.start && (o.end == 0) == (t.end == 0) && o.name == t.name {
			p.pools[i] = t
			return
		}
	}
	if len(p.pools) == maxTold {
		p.left++
		return
	}
	p.pools = append(p.pools, t)
}

// notes says what was left out.
func (p *poolTable) notes(log string) []string {
	if p.left == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: totals left out %s: only %d pools are remembered", log, plain.Plural(p.left, "time"), maxTold)}
}

// stats returns what was told last about the pool that holds the nodes, or
// that has the name.
func (p *poolTable) stats(name string, nodes []heap.Node) heap.Stats {
	var best told
	for _, t := range p.pools {
		mine := t.name == name
		if t.end > 0 {
			mine = len(nodes) > 0 && t.start <= nodes[0].Addr && nodes[len(nodes)-1].Addr < t.end
		}
		if mine && t.line > best.line {
			best = t
		}
	}
	return best.stats
}
