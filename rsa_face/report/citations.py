"""Works that a study's methods rest on, each with its DOI."""

CITATIONS = {
    "rsa": "Kriegeskorte, Mur & Bandettini 2008, Representational similarity analysis. doi:10.3389/neuro.06.004.2008",
    "ceiling": "Nili et al. 2014, A toolbox for representational similarity analysis. "
    "doi:10.1371/journal.pcbi.1003553",
    "inference": "Schütt, Kipnis, Diedrichsen & Kriegeskorte 2023, Statistical inference on representational "
    "geometries. doi:10.7554/eLife.82566",
    "jackknife": "Efron & Stein 1981, The jackknife estimate of variance. doi:10.1214/aos/1176345462",
    "crossed": "Clark 1973, The language-as-fixed-effect fallacy. doi:10.1016/S0022-5371(73)80014-3",
    "alexnet": "Krizhevsky, Sutskever & Hinton 2017, ImageNet classification with deep convolutional neural "
    "networks. doi:10.1145/3065386",
    "vgg": "Simonyan & Zisserman 2015, Very deep convolutional networks for large-scale image recognition. "
    "doi:10.48550/arXiv.1409.1556",
    "excitation": "Hu, Shen & Sun 2018, Squeeze-and-excitation networks. doi:10.1109/CVPR.2018.00745",
    "fe_alexnet": "Ying, Li & Chen 2023, arXiv 2310.13674. doi:10.48550/arXiv.2310.13674",
    "imagenet": "Deng et al. 2009, ImageNet: a large-scale hierarchical image database. "
    "doi:10.1109/CVPR.2009.5206848",
    "adam": "Kingma & Ba 2015, Adam: a method for stochastic optimization. doi:10.48550/arXiv.1412.6980",
    "shuffles": "Nichols & Holmes 2002, Nonparametric permutation tests for functional neuroimaging. "
    "doi:10.1002/hbm.1058",
    "best": "Hsu 1981, Simultaneous confidence intervals for all distances from the “best”. "
    "doi:10.1214/aos/1176345582",
    "brown": "Brown 1910, Some experimental results in the correlation of mental abilities. "
    "doi:10.1111/j.2044-8295.1910.tb00207.x",
    "psychometric": "Wichmann & Hill 2001, The psychometric function: I. Fitting, sampling, and goodness of fit. "
    "doi:10.3758/BF03194544",
    "gradcam": "Selvaraju et al. 2017, Grad-CAM: visual explanations from deep networks via gradient-based "
    "localization. doi:10.1109/ICCV.2017.74",
    "gradcam++": "Chattopadhay et al. 2018, Grad-CAM++: improved visual explanations for deep convolutional "
    "networks. doi:10.1109/WACV.2018.00097",
    "layercam": "Jiang et al. 2021, LayerCAM: exploring hierarchical class activation maps for localization. "
    "doi:10.1109/TIP.2021.3089943",
    "torch": "Paszke et al. 2019, PyTorch. doi:10.48550/arXiv.1912.01703",
    "xarray": "Hoyer & Hamman 2017, xarray: N-D labeled arrays and datasets in Python. doi:10.5334/jors.148",
    "scaling": "Kruskal 1964, Multidimensional scaling by optimizing goodness of fit. doi:10.1007/BF02289565",
}
