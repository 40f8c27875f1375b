// What the processor model announces, as text.
#include <fmt/format.h>

#include "app/machine/board.h"
#include "app/run.h"

namespace hvsim::app {
namespace {

constexpr std::uint32_t kBasicLeaves = 0x21, kExtended = 0x80000000, kSubleaves = 4;

void add_leaves(std::string& text, const cpu::Model& model, std::uint32_t first) {
    for (std::uint32_t leaf = first; leaf < first + kBasicLeaves; ++leaf)
        for (std::uint32_t subleaf = 0; subleaf < kSubleaves; ++subleaf) {
            const cpu::CpuidResult r = cpu::cpuid(model, {}, leaf, subleaf);
            text += fmt::format("{:#x} {}: {:#x} {:#x} {:#x} {:#x}\n", leaf, subleaf, r.eax, r.ebx,
                                r.ecx, r.edx);
        }
}

}  // namespace

std::string processor_text(const Scenario& scenario) {
    const cpu::Model model = model_of(scenario);
    std::string text = fmt::format("{}\n{}\n", model.name, model.brand);
    add_leaves(text, model, 0);
    add_leaves(text, model, kExtended);
    return text;
}

}  // namespace hvsim::app
