"""What a circuit is: gates, plans of them, the ansatz of a layer, weight matrices as circuits. (no torch)"""
