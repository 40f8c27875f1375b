#include "app/machine/dispatcher.h"

#include <algorithm>

#include "sim/error.h"

namespace hvsim::app {
namespace {

/// No processor runs longer without a look at the outside world.
constexpr sim::Duration kLongestRun = sim::kMillisecond;

}  // namespace

struct Dispatcher::Thread {
    explicit Thread(Processor& p) : processor(p), event(sc_core::sc_gen_unique_name("start")) {}
    Processor& processor;
    sc_core::sc_event event;
    sim::Time until = 0;
};

Dispatcher::Dispatcher(const sc_core::sc_module_name& name, const DispatcherConfig& config)
    : sc_core::sc_module(name), config_(config) {
    SIM_ASSERT(config_.quantum != 0);
    sc_core::sc_spawn([this] { dispatch(); }, "dispatch");
}

Dispatcher::~Dispatcher() = default;

void Dispatcher::add(Processor& processor) {
    threads_.push_back(std::make_unique<Thread>(processor));
    Thread* thread = threads_.back().get();
    sc_core::sc_spawn(
        [this, thread] {
            for (;;) {
                sc_core::wait(thread->event);
                try {
                    thread->processor.run(thread->until);
                } catch (...) {
                    failure_ = std::current_exception();
                }
                done_.notify();
            }
        },
        sc_core::sc_gen_unique_name("processor"));
}

void Dispatcher::add(sim::Clocked& device) {
    devices_.push_back(&device);
}

sim::Time Dispatcher::next_device_deadline() const {
    sim::Time deadline = sim::kNever;
    for (const sim::Clocked* device : devices_)
        deadline = std::min(deadline, device->next_deadline());
    return deadline;
}

/// How far processor `index` may run from `start`: up to the next device deadline, and not further
/// than one quantum ahead of the other processors.
sim::Time Dispatcher::limit_for(std::size_t index, sim::Time start) const {
    sim::Time limit = std::min({start + kLongestRun, config_.deadline, next_device_deadline()});
    for (std::size_t i = 0; i < threads_.size(); ++i) {
        if (i == index) continue;
        const sim::Time other = threads_[i]->processor.wake_time();
        if (threads_[i]->processor.watches_memory())
            limit = std::min(limit, start + config_.quantum);
        if (other != sim::kNever) limit = std::min(limit, std::max(other, start) + config_.quantum);
    }
    return std::max(limit, start + 1);
}

void Dispatcher::reconsider() {
    if (current_ == SIZE_MAX) return;
    Processor& processor = threads_[current_]->processor;
    if (ended_) return processor.shorten(processor.now());
    processor.shorten(limit_for(current_, processor.now()));
}

void Dispatcher::run_processor(std::size_t index, sim::Time until) {
    Thread& thread = *threads_[index];
    thread.until = until;
    current_ = index;
    ++runs_;
    thread.event.notify();
    sc_core::wait(done_);
    current_ = SIZE_MAX;
    if (failure_) std::rethrow_exception(failure_);
}

void Dispatcher::dispatch() {
    sc_core::wait(sc_core::SC_ZERO_TIME);  // every processor's thread has reached its wait
    try {
        if (on_start) on_start();
        dispatch_loop();
    } catch (...) {
        failure_ = std::current_exception();
    }
    sc_core::sc_stop();
}

void Dispatcher::dispatch_loop() {
    while (!ended_) {
        const sim::Time device_time = next_device_deadline();
        std::size_t next = 0;
        sim::Time processor_time = sim::kNever;
        for (std::size_t i = 0; i < threads_.size(); ++i) {
            const sim::Time time = threads_[i]->processor.wake_time();
            if (time < processor_time) {
                processor_time = time;
                next = i;
            }
        }
        const sim::Time time = std::min(device_time, processor_time);
        if (time == sim::kNever) {
            result_ = DispatchEnd::nothing_left;
            return;
        }
        if (time >= config_.deadline) {
            now_ = config_.deadline;
            result_ = DispatchEnd::deadline;
            return;
        }
        if (time > now_) {
            sc_core::wait(sc_core::sc_time::from_value(time - now_));
            now_ = time;
        }
        sim::Time written = device_time;
        if (device_time <= processor_time) {
            for (sim::Clocked* device : devices_)
                if (device->next_deadline() <= device_time) device->advance_to(device_time);
        } else {
            run_processor(next, limit_for(next, processor_time));
            written = threads_[next]->processor.now();
        }
        for (const auto& thread : threads_) thread->processor.memory_written(written);
        if (on_step && !on_step(now_)) ended_ = true;
    }
    result_ = DispatchEnd::requested;
}

DispatchEnd Dispatcher::run() {
    sc_core::sc_start();
    if (failure_) std::rethrow_exception(failure_);
    return result_;
}

}  // namespace hvsim::app
