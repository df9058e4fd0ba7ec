// The jobs of the benchmark in Go: one line "<job> <n>" on stdin runs it once and answers with
// "<create> <bytes> <join>", in ns, bytes and ns for each goroutine.
package main

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

func trivial() int { return 1 }

func waitGroup(n int) {
	var wg sync.WaitGroup
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func() { defer wg.Done(); trivial() }()
	}
	wg.Wait()
}

func withCancel(n int) {
	root, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	wg.Add(n)
	for i := 0; i < n; i++ {
		_, cancel := context.WithCancel(root)
		go func() { defer wg.Done(); defer cancel(); trivial() }()
	}
	wg.Wait()
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// suspended starts n goroutines that wait for their own context, then cancels the root and waits for them.
func suspended(n int) (create, bytes, join float64) {
	before := inUse()
	root, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Add(n)
	start := time.Now()
	for i := 0; i < n; i++ {
		ctx, cancel := context.WithCancel(root)
		go func() { defer wg.Done(); defer cancel(); <-ctx.Done() }()
	}
	create = float64(time.Since(start).Nanoseconds()) / float64(n)
	time.Sleep(50 * time.Millisecond)
	bytes = (float64(inUse()) - float64(before)) / float64(n)
	start = time.Now()
	stop()
	wg.Wait()
	join = float64(time.Since(start).Nanoseconds()) / float64(n)
	return
}

// doer is what a caller holds; the goroutine knows its helper only, so that a dropped doer can be finalized.
type doer struct{ helper *helper }

type helper struct {
	jobs int
	stop chan struct{}
}

func (h *helper) run(wg *sync.WaitGroup) {
	defer wg.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			h.jobs++
		case <-h.stop:
			return
		}
	}
}

var finalized int64

func newDoer(wg *sync.WaitGroup) *doer {
	d := &doer{&helper{stop: make(chan struct{})}}
	runtime.SetFinalizer(d, func(d *doer) {
		close(d.helper.stop)
		atomic.AddInt64(&finalized, 1)
	})
	wg.Add(1)
	go d.helper.run(wg)
	return d
}

// orphans drops n doers, and collects until all their goroutines have ended. No collection may run earlier: it would
// end some of them before the clock starts.
func orphans(n int) (create, bytes, stop float64) {
	before := inUse()
	percent := debug.SetGCPercent(-1)
	defer debug.SetGCPercent(percent)
	var wg sync.WaitGroup
	start := time.Now()
	for i := 0; i < n; i++ {
		newDoer(&wg)
	}
	create = float64(time.Since(start).Nanoseconds()) / float64(n)
	time.Sleep(50 * time.Millisecond) // let them get to their select
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	start = time.Now()
	runtime.GC()
	awaitAll(ended)
	stop = float64(time.Since(start).Nanoseconds()) / float64(n)
	bytes = math.Max(0, (float64(inUse())-float64(before))/float64(n))
	return
}

// awaitAll collects again only when nothing has been finalized for a while.
func awaitAll(ended <-chan struct{}) {
	for before := int64(-1); ; {
		select {
		case <-ended:
			return
		case <-time.After(50 * time.Millisecond):
		}
		now := atomic.LoadInt64(&finalized)
		if now == before {
			runtime.GC()
		}
		before = now
	}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var job string
		var n int
		if _, err := fmt.Sscanf(lines.Text(), "%s %d", &job, &n); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if job == "suspended" {
			create, bytes, join := suspended(n)
			fmt.Println(create, bytes, join)
			continue
		}
		if job == "orphans" {
			create, bytes, stop := orphans(n)
			fmt.Println(create, bytes, stop)
			continue
		}
		start := time.Now()
		if job == "withCancel" {
			withCancel(n)
		} else {
			waitGroup(n)
		}
		fmt.Println(float64(time.Since(start).Nanoseconds())/float64(n), 0, 0)
	}
}
