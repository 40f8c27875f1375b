// What a report shows of a partition.
#include <fmt/format.h>

#include "hypervisor-model/hypercall/table.h"
#include "hypervisor-model/hypervisor.h"

namespace hvsim::hv {
namespace {

struct Named {
    std::string_view name;
    std::uint64_t value;
    std::string_view description;
};

}  // namespace

void Partition::collect(sim::StatisticsSink& sink) const {
    const std::string prefix = fmt::format("hv.partition{}.", id_);
    const auto add = [&](std::string_view name, std::uint64_t value, std::string_view unit,
                         std::string_view description) {
        sink.add(prefix + std::string(name), value, unit, description);
    };
    for (std::size_t row = 0; row < hypercall_table().size(); ++row)
        add(fmt::format("hypercalls.{}", hypercall_table()[row].name), counters_.hypercalls[row],
            "count", "hypercalls of this kind");
    for (const Named& row :
         {Named{"hypercalls.unknown", counters_.unknown_hypercalls, "calls of unknown code"},
          Named{"hypercalls.continued", counters_.hypercall_continuations,
                "rep hypercalls interrupted and continued"},
          Named{"hypercalls.undefined", counters_.hypercall_ud, "hypercalls answered by #UD"},
          Named{"pool.available", pool_.available(), "free pages of the memory pool"},
          Named{"pool.in_use", pool_.in_use(), "used pages of the memory pool"},
          Named{"gpa.mapped", gpa_space_.mapped().pages(), "guest-physical pages mapped"}})
        add(row.name, row.value, "count", row.description);
    for (const VirtualProcessor* vp : vps()) {
        const VirtualProcessor::Counters& c = vp->counters();
        const Synic::Counters& s = vp->synic().counters();
        for (const Named& row :
             {Named{"messages", s.messages, "SynIC messages delivered"},
              Named{"messages_delayed", s.messages_delayed, "deliveries that found the slot taken"},
              Named{"events", s.events, "SynIC event flags set"},
              Named{"events_already_set", s.events_already_set, "flags that were set already"},
              Named{"events_kept", s.events_kept, "flags kept while the SynIC was off"},
              Named{"interrupts_by_sint", c.by_sint, "interrupts requested by SINTs"},
              Named{"interrupts_by_timer", c.by_timer, "interrupts of direct synthetic timers"},
              Named{"timer_messages", c.timer_messages, "messages of synthetic timers"},
              Named{"ipis", c.by_ipi, "interrupts sent to processors"},
              Named{"interrupts_by_parent", c.by_parent, "interrupts asserted by the parent"},
              Named{"eoi_assists", c.eoi_assists, "ends of interrupt without an exit"},
              Named{"eoi_writes", c.eoi_writes, "ends of interrupt by APIC register or MSR"},
              Named{"auto_eois", c.auto_eois, "interrupts that ended when they were taken"},
              Named{"xapic_accesses", c.xapic_accesses, "APIC registers accessed in memory"},
              Named{"x2apic_accesses", c.x2apic_accesses, "APIC registers accessed as MSRs"},
              Named{"synthetic_apic_accesses", c.synthetic_apic_accesses,
                    "accesses to the synthetic EOI, ICR and TPR MSRs"},
              Named{"intercepts", c.intercepts, "intercept messages to the parent"},
              Named{"msr_faults", c.msr_faults, "MSR accesses answered by #GP"}})
            add(fmt::format("vp{}.{}", vp->index(), row.name), row.value, "count", row.description);
        add(fmt::format("vp{}.run_time", vp->index()), vp->run_time(), "ps", "time run");
        for (unsigned vector = 0; vector < c.accepted.size(); ++vector)
            if (c.accepted[vector] != 0)
                add(fmt::format("vp{}.vector.{:#04x}", vp->index(), vector), c.accepted[vector],
                    "count", "interrupts injected with this vector");
    }
}

}  // namespace hvsim::hv
