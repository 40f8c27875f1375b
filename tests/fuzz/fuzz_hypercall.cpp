// A hostile guest: random MSR accesses, APIC accesses and hypercalls with random parameters and
// pages. Nothing may crash, and the memory of the hypervisor must never become reachable.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hypervisor-model/hypercall/table.h"
#include "sim/error.h"
#include "tests/hypervisor-model/fixture.h"

namespace {

using namespace hvsim;
using namespace hvsim::hv;
using test::Machine;

class Input {
  public:
    Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
    bool empty() const { return size_ == 0; }
    template <typename T>
    T take() {
        T value{};
        const std::size_t length = size_ < sizeof(T) ? size_ : sizeof(T);
        std::memcpy(&value, data_, length);
        data_ += length;
        size_ -= length;
        return value;
    }
    void take_bytes(std::span<std::uint8_t> out) {
        for (std::uint8_t& byte : out) byte = take<std::uint8_t>();
    }

  private:
    const std::uint8_t* data_;
    std::size_t size_;
};

void hypercall(Machine& m, VirtualProcessor& vp, Input& in, bool root) {
    const auto table = hypercall_table();
    const std::uint64_t random = in.take<std::uint64_t>();
    std::uint64_t control = random;
    if ((random >> 63) == 0)  // mostly a code that exists, in a form that may be right
        control = table[random % table.size()].code | (random & 0x0003'0000) |
                  (random >> 20 & 3) << 17 | (random >> 24 & 0x1f) << 32;
    std::array<std::uint8_t, 96> bytes{};
    in.take_bytes(bytes);
    const std::uint64_t input = root ? Machine::kInput : Machine::kGuestInput;
    m.ram.write_bytes(root ? input : Machine::child(input), bytes);
    const std::uint16_t pages = in.take<std::uint16_t>();
    const std::uint64_t rdx = (pages & 1) != 0 ? in.take<std::uint64_t>() : input;
    const std::uint64_t r8 = (pages & 2) != 0 ? in.take<std::uint64_t>() : input + 0x1000;
    HypercallOutcome outcome = m.raw(vp, control, rdx, r8);
    for (int i = 0; i < 64 && outcome.kind == HypercallOutcome::Kind::continue_later; ++i)
        outcome = m.dispatcher.dispatch(vp, m.now);
}

void step(Machine& m, VirtualProcessor& guest, Input& in) {
    VirtualProcessor* vps[]{&guest, guest.partition().vp(1)};
    VirtualProcessor* vp = vps[in.take<std::uint8_t>() & 1];
    if (vp == nullptr) return;
    switch (in.take<std::uint8_t>() % 10) {
        case 0:
        case 1: {
            const std::uint32_t index = 0x4000'0000 + (in.take<std::uint16_t>() & 0x1ff);
            vp->write_msr(index, in.take<std::uint64_t>(), m.now);
            break;
        }
        case 2:
            vp->read_msr(in.take<std::uint32_t>(), m.now);
            break;
        case 3:
            vp->write_msr(in.take<std::uint16_t>(), in.take<std::uint64_t>(), m.now);
            break;
        case 4: {
            const std::uint32_t offset = in.take<std::uint16_t>() & 0xfff;
            vp->mmio_apic_write(offset, 4, in.take<std::uint32_t>(), m.now);
            break;
        }
        case 5:
            m.now += in.take<std::uint32_t>();
            vp->advance_to(m.now);
            break;
        case 6:
            vp->after_exit(m.now);
            if (vp->pending_vector()) vp->accept_interrupt(m.now);
            vp->prepare_entry(m.now);
            break;
        case 7:
            hypercall(m, m.root_vp(), in, true);
            break;
        default:
            hypercall(m, *vp, in, false);
            break;
    }
}

/// No page of a pool is mapped anywhere.
void check_isolation(Machine& m) {
    for (Partition* partition : m.hypervisor.partitions())
        for (const auto& [first, count] : partition->gpa_space().mapped().runs())
            for (std::uint64_t i = 0; i < count; ++i)
                if (const auto page = partition->gpa_space().mapping(first + i))
                    SIM_ASSERT(!m.hypervisor.pages().is_hypervisors(page->system_page));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input in(data, size);
    Machine m;
    const PartitionId id = m.make_child(2).id();
    m.enable_hypercalls(*m.hypervisor.find(id)->vp(0));
    m.enable_synic(*m.hypervisor.find(id)->vp(0));
    while (!in.empty()) {
        Partition* child = m.hypervisor.find(id);  // the root may have ended it
        if (child == nullptr || child->vp(0) == nullptr) break;
        step(m, *child->vp(0), in);
    }
    check_isolation(m);
    return 0;
}
