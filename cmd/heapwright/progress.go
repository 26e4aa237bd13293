package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// progress shows on a terminal how much of a log or dump has been read, once
// that takes longer than two seconds.
type progress struct {
	read, size atomic.Int64 // bytes; size 0: not known
	verb       atomic.Pointer[string]
	quit, done chan struct{}
	once       sync.Once
}

func startProgress(cmd *cobra.Command, path string) *progress {
	p := &progress{quit: make(chan struct{}), done: make(chan struct{})}
	p.doing("reading")
	f, ok := cmd.ErrOrStderr().(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || path == "-" {
		close(p.done)
		return p
	}
	go p.show(f, path)
	return p
}

// doing says what is being done.
func (p *progress) doing(verb string) { p.verb.Store(&verb) }

// next begins with so many bytes more.
func (p *progress) next(size int64) {
	p.read.Store(0)
	p.size.Store(size)
}

func (p *progress) show(f *os.File, path string) {
	defer close(p.done)
	wait, shown := 2*time.Second, false
	for {
		select {
		case <-p.quit:
			if shown {
				fmt.Fprint(f, "\r\x1b[K")
			}
			return
		case <-time.After(wait):
		}
		wait, shown = 200*time.Millisecond, true
		n, size, verb := p.read.Load(), p.size.Load(), *p.verb.Load()
		switch {
		case size > 0 && n > 0:
			fmt.Fprintf(f, "\r\x1b[K%s %s: %d%% of %d MB ", verb, path, 100*n/size, size>>20)
		case size > 0:
			fmt.Fprintf(f, "\r\x1b[K%s %s: %d MB ", verb, path, size>>20)
		default:
			fmt.Fprintf(f, "\r\x1b[K%s %s: %d MB ", verb, path, n>>20)
		}
	}
}

// stop takes the line away. Further calls do nothing.
func (p *progress) stop() {
	p.once.Do(func() { close(p.quit) })
	<-p.done
}
