// Package spawn starts processes that do not outlive this one.
package spawn

import (
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// BinDir is where the sandbox puts the programs built for it.
const BinDir = "/opt/elysium-sandbox/bin"

// Spawner starts processes that the kernel kills when this process ends,
// however it ends. The kernel ties that to the thread that forked, so one
// thread, kept for ever, starts them all.
type Spawner struct {
	requests chan request
}

type request struct {
	command *exec.Cmd
	done    chan error
}

// New returns a spawner with its thread running.
func New() *Spawner {
	spawner := &Spawner{requests: make(chan request)}
	go func() {
		runtime.LockOSThread()
		for next := range spawner.requests {
			next.done <- next.command.Start()
		}
	}()
	return spawner
}

// Child is a running process.
type Child struct {
	Name string
	PID  int
	// Ended is closed when the process has ended; Err then says how.
	Ended chan struct{}
	Err   error
}

// Start starts command in a process group of its own.
func (s *Spawner) Start(name string, command *exec.Cmd) (*Child, error) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Setpgid = true
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	done := make(chan error)
	s.requests <- request{command, done}
	if err := <-done; err != nil {
		return nil, err
	}
	child := &Child{Name: name, PID: command.Process.Pid, Ended: make(chan struct{})}
	go func() {
		child.Err = command.Wait()
		close(child.Ended)
	}()
	return child, nil
}

// Stop asks the process group to end and kills it when it has not within
// grace.
func (c *Child) Stop(grace time.Duration) {
	select {
	case <-c.Ended:
		return
	default:
	}
	// An error of kill means that the process has ended in the meantime.
	_ = syscall.Kill(-c.PID, syscall.SIGTERM)
	select {
	case <-c.Ended:
	case <-time.After(grace):
		_ = syscall.Kill(-c.PID, syscall.SIGKILL)
		<-c.Ended
	}
}
