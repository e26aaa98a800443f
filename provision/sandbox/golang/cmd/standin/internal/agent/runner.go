package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"elysium.invalid/sandbox/cmd/standin/internal/spawn"
)

const (
	podsDir = "/var/lib/kubelet/pods"
	logsDir = "/var/log/pods"
	// tokenLife is that of a pod's service account token: longer than a
	// sandbox lives, so that none has to be renewed.
	tokenLife = 365 * 24 * time.Hour
)

// runner runs the containers that have a program.
type runner struct {
	spawner *spawn.Spawner
	api     client.Client
	node    Node
	changed func(*corev1.Pod)

	mutex     sync.Mutex
	workloads map[types.NamespacedName]*workload
	addresses map[string]types.NamespacedName
}

// workload is one pod that is running here.
type workload struct {
	uid       types.UID
	logs      string
	processes map[string]*process
}

func newRunner(spawner *spawn.Spawner, api client.Client, node Node, changed func(*corev1.Pod)) *runner {
	return &runner{
		spawner: spawner, api: api, node: node, changed: changed,
		workloads: map[types.NamespacedName]*workload{}, addresses: map[string]types.NamespacedName{},
	}
}

// ensure starts what of the pod is to run and returns how it is.
func (r *runner) ensure(ctx context.Context, pod *corev1.Pod) (map[string]state, error) {
	if !hasProgram(pod) {
		return nil, nil
	}
	key := client.ObjectKeyFromObject(pod)
	r.mutex.Lock()
	running := r.workloads[key]
	r.mutex.Unlock()
	if running != nil && running.uid != pod.UID {
		r.forget(key)
		running = nil
	}
	if running == nil {
		started, err := r.start(ctx, pod)
		if err != nil {
			return nil, err
		}
		r.mutex.Lock()
		r.workloads[key] = started
		r.mutex.Unlock()
		running = started
	}
	states := map[string]state{}
	for name, process := range running.processes {
		select {
		case <-process.begun:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		states[name] = process.state()
	}
	return states, nil
}

// start prepares the pod's folder and starts its processes.
func (r *runner) start(ctx context.Context, pod *corev1.Pod) (*workload, error) {
	directory := filepath.Join(podsDir, string(pod.UID))
	if err := r.serviceAccount(ctx, pod, directory); err != nil {
		return nil, err
	}
	for _, name := range []string{"tmp", "data"} {
		if err := os.MkdirAll(filepath.Join(directory, name), 0o700); err != nil {
			return nil, err
		}
	}
	result := &workload{uid: pod.UID, logs: podLogs(pod), processes: map[string]*process{}}
	for i := range pod.Spec.Containers {
		container := &pod.Spec.Containers[i]
		what, ok := programOf(container.Image)
		if !ok {
			continue
		}
		environment, err := r.environment(ctx, pod, container)
		if err != nil {
			return nil, err
		}
		environment["TMPDIR"] = filepath.Join(directory, "tmp")
		environment["ELYSIUM_SANDBOX_DATA"] = filepath.Join(directory, "data")
		environment["KUBERNETES_SERVICE_HOST"] = "127.0.0.1"
		environment["KUBERNETES_SERVICE_PORT"] = fmt.Sprint(r.node.APIPort)
		environment["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
		logs := filepath.Join(podLogs(pod), container.Name)
		if err := os.MkdirAll(logs, 0o755); err != nil {
			return nil, err
		}
		process := &process{
			spawner:     r.spawner,
			directory:   directory,
			program:     what,
			args:        what.arguments(container.Command, container.Args, environment),
			environment: environment,
			log:         filepath.Join(logs, "0.log"),
			changed:     func() { r.changed(pod) },
			restarts:    restartsSoFar(pod, container.Name),
			begun:       make(chan struct{}),
			stop:        make(chan struct{}),
			stopped:     make(chan struct{}),
		}
		result.processes[container.Name] = process
		go process.keep()
	}
	return result, nil
}

// restartsSoFar counts a process that was lost with an earlier agent as a
// restart, as a kubelet counts a container lost with a reboot.
func restartsSoFar(pod *corev1.Pod, container string) int32 {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == container {
			return status.RestartCount + 1
		}
	}
	return 0
}

// serviceAccount writes the files a container finds in
// /var/run/secrets/kubernetes.io/serviceaccount.
func (r *runner) serviceAccount(ctx context.Context, pod *corev1.Pod, directory string) error {
	seconds := int64(tokenLife.Seconds())
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
		Namespace: pod.Namespace, Name: pod.Spec.ServiceAccountName,
	}}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	if err := r.api.SubResource("token").Create(ctx, account, request); err != nil {
		return fmt.Errorf("token of service account %s/%s: %w", account.Namespace, account.Name, err)
	}
	authority, err := os.ReadFile(r.node.CAFile)
	if err != nil {
		return err
	}
	target := accountDir(directory)
	if err := os.MkdirAll(target, 0o700); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"token": request.Status.Token, "ca.crt": string(authority), "namespace": pod.Namespace,
	} {
		if err := os.WriteFile(filepath.Join(target, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func accountDir(podDirectory string) string {
	return filepath.Join(podDirectory, "volumes", "kubernetes.io~projected", "kube-api-access")
}

// forget stops the pod's processes and removes its folder and logs.
func (r *runner) forget(key types.NamespacedName) {
	r.mutex.Lock()
	known := r.workloads[key]
	delete(r.workloads, key)
	for address, owner := range r.addresses {
		if owner == key {
			delete(r.addresses, address)
		}
	}
	r.mutex.Unlock()
	if known == nil {
		return
	}
	for _, process := range known.processes {
		process.end()
	}
	// What is left of it does no harm: nothing reads a folder by another UID.
	_ = os.RemoveAll(filepath.Join(podsDir, string(known.uid)))
	_ = os.RemoveAll(known.logs)
}

// stopAll ends every process, for the end of the agent.
func (r *runner) stopAll() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var all sync.WaitGroup
	for _, workload := range r.workloads {
		for _, one := range workload.processes {
			all.Add(1)
			go func(process *process) {
				defer all.Done()
				process.end()
			}(one)
		}
	}
	all.Wait()
}

// freeAddress takes the next address of the pod network that is not taken.
func (r *runner) freeAddress(key types.NamespacedName, taken map[string]bool) string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for i := 2; i < 65534; i++ {
		address := fmt.Sprintf("10.42.%d.%d", i/256, i%256)
		if _, given := r.addresses[address]; !given && !taken[address] {
			r.addresses[address] = key
			return address
		}
	}
	return "10.42.255.254"
}
