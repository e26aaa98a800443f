package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"elysium.invalid/sandbox/cmd/standin/internal/spawn"
)

const (
	// ContainerCommand is the part of the stand-in that becomes a container's
	// program; see RunContainer.
	ContainerCommand = "sandbox-container"
	accountMount     = "/run/secrets/kubernetes.io/serviceaccount"
	processGrace     = time.Second
	longestPause     = 10 * time.Second
)

// process is one container's program, started again whenever it ends.
type process struct {
	spawner     *spawn.Spawner
	directory   string
	program     program
	args        []string
	environment map[string]string
	log         string
	changed     func()

	begun   chan struct{} // closed once it is known whether it starts
	stop    chan struct{}
	stopped chan struct{}

	once     sync.Once
	mutex    sync.Mutex
	now      state
	restarts int32
}

func (p *process) state() state {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.now
}

func (p *process) set(change func(*state)) {
	p.mutex.Lock()
	change(&p.now)
	p.now.restarts = p.restarts
	p.mutex.Unlock()
	p.once.Do(func() { close(p.begun) })
	p.changed()
}

// keep runs the program until end is called.
func (p *process) keep() {
	defer close(p.stopped)
	pause := time.Second
	for {
		begun := time.Now()
		child, err := p.start()
		if err == nil {
			p.set(func(now *state) { now.running, now.since = true, begun })
			select {
			case <-child.Ended:
				err = child.Err
			case <-p.stop:
				child.Stop(processGrace)
				return
			}
		}
		p.set(func(now *state) {
			now.running, now.since = false, time.Now()
			now.lastCode, now.last = exitCode(err), fmt.Sprintf("%v; see %s", err, p.log)
		})
		if time.Since(begun) > time.Minute {
			pause = time.Second
		}
		select {
		case <-p.stop:
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
		p.restarts++
	}
}

// end stops the program for good.
func (p *process) end() {
	close(p.stop)
	<-p.stopped
}

func (p *process) start() (*spawn.Child, error) {
	output, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	path := p.program.path
	if path == "" {
		path = "/proc/self/exe"
	}
	words := append([]string{ContainerCommand, accountDir(p.directory), path, p.program.name}, p.args...)
	command := &exec.Cmd{Path: "/proc/self/exe", Args: words, Stdout: output, Stderr: output, Dir: "/"}
	for name, value := range p.environment {
		command.Env = append(command.Env, name+"="+value)
	}
	// Its own mounts, for the service account's files.
	command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return p.spawner.Start(p.program.name, command)
}

// RunContainer puts the service account's files where programs in a cluster
// look for them and becomes the program. It runs in a mount namespace of its
// own. args: the files' folder, the program's path, its name, its arguments.
func RunContainer(_ string, args []string) error {
	if len(args) < 3 {
		return errors.New("folder, program and name are missing")
	}
	if err := syscall.Mount(args[0], accountMount, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", accountMount, err)
	}
	err := syscall.Exec(args[1], args[2:], os.Environ())
	return fmt.Errorf("%s: %w", args[1], err)
}

func exitCode(err error) int32 {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return int32(exit.ExitCode())
	}
	if err != nil {
		return 128
	}
	return 0
}

// environment resolves a container's variables. Those a program here has no
// use for (limits of its container) are left out.
func (r *runner) environment(ctx context.Context, pod *corev1.Pod, container *corev1.Container) (map[string]string, error) {
	if err := os.MkdirAll(accountMount, 0o755); err != nil {
		return nil, err
	}
	fields := map[string]string{
		"metadata.name": pod.Name, "metadata.namespace": pod.Namespace, "metadata.uid": string(pod.UID),
		"spec.nodeName": r.node.Name, "spec.serviceAccountName": pod.Spec.ServiceAccountName,
		"status.podIP": r.node.IP, "status.hostIP": r.node.IP,
	}
	result := map[string]string{}
	for _, variable := range container.Env {
		value := expand(variable.Value, result)
		if from := variable.ValueFrom; from != nil {
			var err error
			switch {
			case from.FieldRef != nil:
				value = fields[from.FieldRef.FieldPath]
			case from.SecretKeyRef != nil:
				secret := &corev1.Secret{}
				err = r.api.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: from.SecretKeyRef.Name}, secret)
				value = string(secret.Data[from.SecretKeyRef.Key])
			case from.ConfigMapKeyRef != nil:
				config := &corev1.ConfigMap{}
				err = r.api.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: from.ConfigMapKeyRef.Name}, config)
				value = config.Data[from.ConfigMapKeyRef.Key]
			default:
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("variable %s: %w", variable.Name, err)
			}
		}
		result[variable.Name] = value
	}
	result["HOSTNAME"] = filepath.Base(pod.Name)
	return result, nil
}
