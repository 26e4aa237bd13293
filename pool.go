package heapwright

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"sync"
	"time"
	"unsafe"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/bestfit"
	"github.com/heapwright/heapwright/internal/callers"
	"github.com/heapwright/heapwright/internal/node"
	"github.com/heapwright/heapwright/internal/osmem"
	"github.com/heapwright/heapwright/internal/survey"
)

// front is the ref of the node that precedes all others.
const front = survey.Front

// Pool is a best-fit memory manager over one contiguous range of memory. All
// its methods may be called from several goroutines at a time. A pool and its
// memory live until Close; forgetting a pool does not free it.
type Pool struct {
	mu    sync.Mutex
	base  unsafe.Pointer // the pool head
	first uintptr        // offset of the first payload there can be
	reach uintptr        // bytes from there to the end node; 0 if nothing may be freed
	limit uintptr        // offset of the end node; 0 when closed
	end   uint32         // ref of the end node
	lay   node.Layout
	omit  int
	quick bestfit.Quick
	set   bestfit.Set

	inUse       uint32 // units that are not free: used nodes, quarantined ones and the overhead
	quarantined uint32 // units in quarantined nodes
	waterline   uint32 // highest inUse so far
	usedNodes   int
	payload     uint64        // bytes asked for in used nodes
	owners      []ownerTotals // owner 0 is always there

	scratch []swallowed
	dirty   uint64         // units in large free nodes whose pages the system has not got back
	pending []heap.Finding // to be delivered when the lock is released
	zeroing sync.WaitGroup // nodes being zeroed without the lock

	region   *osmem.Region
	reserved uintptr // bytes of address space
	cfg      Config
	name     string
	id       uint64
	created  time.Time
	birth    uint64 // the process clock's tick at creation
	secret   uint64
	origin   uint64 // address of the pool head in the process that wrote it
	anchor   uintptr
	foreign  bool // opened from a file written by another build
	readOnly bool
	short    bool // nothing forbids the short ways of allocate and release
}

var (
	poolsMu  sync.Mutex
	pools    []*Pool // open pools in order of creation
	lastPool uint64
)

// Pools returns the open pools of this process in order of creation.
func Pools() []*Pool {
	poolsMu.Lock()
	defer poolsMu.Unlock()
	return append([]*Pool(nil), pools...)
}

func register(p *Pool) {
	poolsMu.Lock()
	defer poolsMu.Unlock()
	pools = append(pools, p)
}

func unregister(p *Pool) {
	poolsMu.Lock()
	defer poolsMu.Unlock()
	for i, q := range pools {
		if q == p {
			pools = append(pools[:i], pools[i+1:]...)
			return
		}
	}
}

func newPool(cfg Config) *Pool {
	poolsMu.Lock()
	lastPool++
	id := lastPool
	poolsMu.Unlock()
	p := &Pool{cfg: cfg, id: id, name: cfg.Name, omit: cfg.OmitLR, created: time.Now(), owners: make([]ownerTotals, 1)}
	if p.name == "" {
		p.name = fmt.Sprintf("pool-%d", id)
	}
	return p
}

// New makes a pool. It fails if the configuration contradicts itself, names a
// file that exists, or the system has no address space left for it.
func New(cfg Config) (*Pool, error) {
	if err := cfg.resolve(); err != nil {
		return nil, err
	}
	p := newPool(cfg)
	var err error
	switch {
	case cfg.Region != nil:
		p.region, err = osmem.Wrap(cfg.Region)
	case cfg.File != "":
		p.region, err = osmem.Create(cfg.File, uintptr(cfg.MaxSize))
	default:
		p.region, err = osmem.Reserve(uintptr(cfg.MaxSize))
	}
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("heapwright: pool %s: file %s exists: read it with Open, or move it away: %w", p.name, cfg.File, fs.ErrExist)
	}
	if err != nil {
		return nil, fmt.Errorf("heapwright: pool %s: %w", p.name, err)
	}
	if err := p.format(); err != nil {
		p.region.Close()
		if cfg.File != "" {
			os.Remove(cfg.File)
		}
		return nil, err
	}
	if cfg.LeakCheck {
		startClock()
		p.birth = clockTicks()
	}
	register(p)
	return p, nil
}

// format lays out an empty pool in the region.
func (p *Pool) format() error {
	p.secret = rand.Uint64()
	p.lay = p.cfg.layout(p.secret)
	p.short = !p.cfg.IntegrityCheck && p.lay.LRs <= node.StampLRs
	p.base = p.region.Base()
	p.reserved = p.region.Size()
	p.origin = uint64(uintptr(p.base))
	p.anchor = callers.Anchor()

	size := p.reserved
	if p.cfg.Region == nil && p.cfg.File == "" {
		size = min(size, growStep)
	}
	least := (node.HeadUnits + 2*uintptr(p.lay.HeadU) + uintptr(p.lay.MinU)) * node.Unit
	if size < least {
		return fmt.Errorf("heapwright: pool %s: %d bytes are too few for a pool, which needs at least %d", p.name, size, least)
	}
	if err := p.region.Commit(0, size); err != nil {
		return fmt.Errorf("heapwright: pool %s: %w", p.name, err)
	}
	bound := p.lay.HeadU
	p.setEnd(uint32(size/node.Unit) - bound)
	first := front + bound
	clear(p.bytes(front, p.lay.Head))
	clear(p.bytes(first, p.lay.Head))
	clear(p.bytes(p.end, p.lay.Head))
	p.put(front, node.Make(bound, 0, node.Bound, 0, 0))
	p.put(first, node.Make(p.end-first, bound, node.Free, 0, 0))
	p.put(p.end, node.Make(bound, p.end-first, node.Bound, 0, 0))
	p.insertFree(first, p.end-first, 0)
	p.writeHead(p.secret)
	p.inUse = p.overhead()
	p.waterline = p.inUse
	return nil
}

// setEnd moves the end of the pool.
func (p *Pool) setEnd(end uint32) {
	p.end = end
	p.limit = uintptr(end) * node.Unit
	p.first = uintptr(front+p.lay.HeadU)*node.Unit + p.lay.Head
	if !p.readOnly {
		p.reach = p.limit - p.first
	}
}

// writeHead writes the pool head, which only readers of dumps and files use.
func (p *Pool) writeHead(secret uint64) {
	h := node.HeadAt(p.base)
	h.Write(node.HeadInfo{
		Secret:   secret,
		Stacks:   p.cfg.LeakCheck,
		Backup:   p.cfg.HeadBackup,
		LRs:      p.lay.LRs,
		OmitLR:   p.omit,
		End:      p.end,
		Base:     uint64(uintptr(p.base)),
		Anchor:   uint64(p.anchor),
		Text:     callers.TextID(),
		Created:  p.created.UnixNano(),
		TickHz:   TickHz,
		PID:      uint32(os.Getpid()),
		PoolName: p.name,
	})
}

// Open reads a pool that a process left in a file (Config.File), typically
// after that process crashed. The file is mapped copy-on-write: it is never
// changed. Damage found on the way in is repaired in memory and reported as
// always. The pool can be listed and checked; Alloc, Free and their kin return
// ErrReadOnly. Of cfg only Name and OnFinding count: everything else is in the
// file.
//
// A process that was killed in the middle of an allocation or free can leave
// one header that differs from its backup without anybody having overwritten it.
//
// Call stacks are those of the process that wrote the file. Where that was this
// same build of this program they are translated, so that they symbolize here;
// otherwise they stay as they were.
func Open(path string, cfg Config) (*Pool, error) {
	region, err := osmem.OpenPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("heapwright: open pool: %w", err)
	}
	p, err := open(region, path, cfg)
	if err != nil {
		region.Close()
		return nil, err
	}
	register(p)
	return p, nil
}

func open(region *osmem.Region, path string, cfg Config) (*Pool, error) {
	if region.Size() < node.HeadUnits*node.Unit {
		return nil, fmt.Errorf("heapwright: open pool: %s is too short for a pool", path)
	}
	info, err := node.HeadAt(region.Base()).Read()
	if err != nil {
		return nil, fmt.Errorf("heapwright: open pool: %s: %w", path, err)
	}
	cfg.Region, cfg.File = nil, path
	cfg.Policy = Report // there is nobody yet to recover and use the pool
	cfg.LeakCheck, cfg.HeadBackup = info.Stacks, info.Backup
	cfg.RecordLR, cfg.OmitLR = info.LRs, info.OmitLR
	if cfg.Name == "" {
		cfg.Name = info.PoolName
	}
	p := newPool(cfg)
	p.readOnly = true
	p.region = region
	p.base = region.Base()
	p.reserved = region.Size()
	p.secret = info.Secret
	p.origin = info.Base
	p.lay = cfg.layout(info.Secret)
	p.created = time.Unix(0, info.Created)
	p.anchor = uintptr(info.Anchor)
	p.foreign = info.Text != callers.TextID()
	first := front + p.lay.HeadU
	if uint64(info.End)+uint64(p.lay.HeadU) > uint64(region.Size())/node.Unit || int64(info.End) > maxPool/node.Unit ||
		info.End < first+p.lay.MinU {
		return nil, fmt.Errorf("heapwright: open pool: %s: the pool head speaks of %d bytes, the file has %d", path, uint64(info.End)*node.Unit, region.Size())
	}
	p.setEnd(info.End)
	p.mu.Lock()
	p.heal("open")
	p.waterline = p.inUse
	p.unlock()
	return p, nil
}

// Name returns the pool's name.
func (p *Pool) Name() string { return p.name }

// Addr returns the address of the pool, that is of its pool head. In a pool
// from Open it is, like every address, that of the process that wrote it.
func (p *Pool) Addr() heap.Addr { return heap.Addr(p.origin) }

// ReadOnly reports whether the pool comes from Open.
func (p *Pool) ReadOnly() bool { return p.readOnly }

// Foreign reports whether the pool comes from Open and was written by another
// build of the program than this one. Then its stacks mean nothing to Frames:
// they need that build's symbols.
func (p *Pool) Foreign() bool { return p.foreign }

// Config returns the configuration with its defaults filled in; None stands
// where no levels are omitted or recorded.
func (p *Pool) Config() Config {
	c := p.cfg
	c.Name = p.name
	if c.OmitLR == 0 {
		c.OmitLR = None
	}
	if c.LeakCheck && c.RecordLR == 0 {
		c.RecordLR = None
	}
	return c
}

// Close gives the pool's memory back; a file stays. Any pointer into the pool
// is invalid from then on, and every method returns ErrClosed or nothing. If
// nodes were still used, Close closes the pool all the same and returns a
// *UsedNodesError that lists them.
func (p *Pool) Close() error {
	p.mu.Lock()
	if p.limit == 0 {
		p.mu.Unlock()
		return ErrClosed
	}
	var left error
	if p.usedNodes > 0 && !p.readOnly {
		e := &UsedNodesError{Pool: p.name}
		e.Nodes = p.snapshot().Nodes
		for i := range e.Nodes {
			e.Bytes += e.Nodes[i].Size
		}
		left = e
	}
	p.limit, p.reach, p.short = 0, 0, false
	p.set.Reset()
	p.quick.Reset()
	region := p.region
	p.mu.Unlock()

	unregister(p)
	p.zeroing.Wait()
	if p.cfg.LeakCheck && !p.readOnly {
		stopClock()
	}
	if err := region.Close(); err != nil {
		return fmt.Errorf("heapwright: close pool %s: %w", p.name, err)
	}
	return left
}

// The few functions that turn refs into addresses.

// ctrl returns the address of a node's control header.
func (p *Pool) ctrl(ref uint32) unsafe.Pointer {
	return unsafe.Add(p.base, uintptr(ref)*node.Unit+p.lay.Slot)
}

// slot returns the address of the backup of the next node's header.
func (p *Pool) slot(ref uint32) unsafe.Pointer {
	return unsafe.Add(p.base, uintptr(ref)*node.Unit)
}

// data returns the address of a node's payload.
func (p *Pool) data(ref uint32) unsafe.Pointer {
	return unsafe.Add(p.base, uintptr(ref)*node.Unit+p.lay.Head)
}

// note returns the place in a free node where the slot of its entry in the set
// is kept.
func (p *Pool) note(ref uint32) *uint32 { return (*uint32)(p.data(ref)) }

// bytes returns n bytes from the start of a node.
func (p *Pool) bytes(ref uint32, n uintptr) []byte {
	return unsafe.Slice((*byte)(p.slot(ref)), n)
}

// holder returns the node that holds the backup of the header h at ref.
func (p *Pool) holder(ref uint32, h node.Header) uint32 {
	if prev := h.Prev(); prev != 0 {
		return ref - prev
	}
	return p.end
}

// inspect reads the control header of the node at ref and reports whether it
// and its backup can be trusted. A ref that does not come from a trusted header
// must have been checked against the limit. What follows from an untrusted
// header must not be used.
func (p *Pool) inspect(ref uint32) (node.Header, bool) {
	return p.lay.Inspect(p.base, ref, p.end)
}

// trusted is inspect for a node that is not the end, with a glance at the nodes
// on both sides of it.
func (p *Pool) trusted(ref uint32) (node.Header, bool) {
	return p.lay.Trusted(p.base, ref, p.end)
}

// besideSound checks more of what lies beside a trusted node than trusted does,
// see node.Layout.Beside. Nothing of it will be relied upon.
func (p *Pool) besideSound(ref uint32, h node.Header) bool {
	return p.lay.Slot == 0 || p.lay.Beside(p.base, ref, p.end, h)
}

// put writes h as the control header of the node at ref, and its backup. What
// it replaces must have been inspected, or damage would be sealed as good.
func (p *Pool) put(ref uint32, h node.Header) { p.lay.Put(p.base, ref, p.end, h) }

// putStamped is put with a new birth and new LRs.
func (p *Pool) putStamped(ref uint32, h node.Header, s *node.Stamp) {
	p.lay.PutStamped(p.base, ref, p.end, h, s)
}
