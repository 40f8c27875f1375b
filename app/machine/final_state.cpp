#include "app/machine/final_state.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "sim/touched_memory.h"

namespace hvsim::app {

void add_registers(sim::Digest& digest, const cpu::ArchState& core) {
    for (unsigned i = 0; i < cpu::engine::kGprCount; ++i) digest.add(core.gpr(i));
    digest.add(core.rip());
    digest.add(core.rflags());
    for (unsigned i = 0; i < cpu::engine::kSegmentCount; ++i) {
        const cpu::Segment segment = core.segment(static_cast<cpu::SegmentName>(i));
        digest.add(segment.selector);
        digest.add(segment.base);
        digest.add(segment.limit);
        digest.add(segment.access_rights);
    }
    for (const unsigned i : {0u, 2u, 3u, 4u}) digest.add(core.cr(i));
    digest.add(core.efer());
    digest.add(core.pat());
    digest.add(core.xcr0());
}

void add_memory(sim::Digest& digest, const sim::Ram& ram, std::uint64_t address,
                std::uint64_t length) {
    static constexpr std::array<std::uint8_t, sim::kPageSize> kZero{};
    const std::uint64_t end = address + length;
    sim::TouchedMemory touched(ram);
    for (std::uint64_t page = touched.next(address, end); page < end;
         page = touched.next(page + sim::kPageSize, end)) {
        const std::uint8_t* data = ram.data() + page;
        if (std::memcmp(data, kZero.data(), sim::kPageSize) == 0) continue;
        digest.add(page - address);
        digest.add_bytes(data, sim::kPageSize);
    }
}

}  // namespace hvsim::app
